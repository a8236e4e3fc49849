//! Files that are tables, and files that are not.

use expect_test::{Expect, expect};

use super::*;

/// A file in a folder of its own, and the table in it.
struct World {
    folder: tempfile::TempDir,
    table: TableFile,
}

fn world(content: &[u8], delimiter: u8, encoding: Encoding) -> World {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("assets.csv");
    std::fs::write(&path, content).unwrap();
    let source = Source { path, key: "serial".to_owned(), delimiter, encoding };
    let copies = Copies::of_tables(&folder.path().join("state/deputy.db"));
    let table = TableFile::new("assets".parse().unwrap(), source, copies);
    World { folder, table }
}

impl World {
    fn write(&self, content: &str) {
        std::fs::write(self.folder.path().join("assets.csv"), content).unwrap();
    }

    fn said(&self, keys: &[&str]) -> String {
        let mut said = String::new();
        if let Some(table) = self.table.now() {
            said += &format!(
                "columns {:?}, {} rows, {} without key\n",
                table.columns(),
                table.rows(),
                table.rows_without_key()
            );
            for key in keys {
                said += &format!("{key}: {:?}\n", table.row(key));
            }
        }
        if let Some(wrong) = self.table.wrong() {
            said += &format!("{wrong}\n").replace(&self.folder.path().display().to_string(), "DIR");
        }
        said
    }
}

#[track_caller]
fn check(content: &str, keys: &[&str], expected: Expect) {
    expected.assert_eq(&world(content.as_bytes(), b',', Encoding::Utf8).said(keys));
}

#[test]
fn a_row_is_found_by_its_key_without_blanks_and_in_any_case() {
    check(
        "serial,site,note\nC02AA,Lyon,\"in a \"\"box\"\", new\"\n c02ab ,Paris,\"two\nlines\"\n",
        &["c02aa", "  C02AB", "C02AC", ""],
        expect![[r#"
            columns ["serial", "site", "note"], 2 rows, 0 without key
            c02aa: Ok(Some(["C02AA", "Lyon", "in a \"box\", new"]))
              C02AB: Ok(Some([" c02ab ", "Paris", "two\nlines"]))
            C02AC: Ok(None)
            : Ok(None)
        "#]],
    );
}

#[test]
fn the_mark_of_utf_8_line_ends_of_windows_blank_lines_and_a_last_line_without_end_are_no_mistakes() {
    check(
        "\u{feff}serial,site\r\n\r\nC02AA,Lyon\r\n\r\nC02AB,Köln",
        &["C02AA", "C02AB"],
        expect![[r#"
        columns ["serial", "site"], 2 rows, 0 without key
        C02AA: Ok(Some(["C02AA", "Lyon"]))
        C02AB: Ok(Some(["C02AB", "Köln"]))
    "#]],
    );
}

#[test]
fn a_quote_within_a_plain_cell_is_an_inch() {
    check(
        "serial,model\nC02AA,MacBook Pro 14\" M3\n",
        &["C02AA"],
        expect![[r#"
        columns ["serial", "model"], 1 rows, 0 without key
        C02AA: Ok(Some(["C02AA", "MacBook Pro 14\" M3"]))
    "#]],
    );
}

#[test]
fn rows_without_a_key_and_rows_of_delimiters_cannot_be_looked_up() {
    check(
        "serial,site\n,Lyon\n,\n,,,,\nC02AA,Paris\n",
        &["C02AA"],
        expect![[r#"
        columns ["serial", "site"], 1 rows, 2 without key
        C02AA: Ok(Some(["C02AA", "Paris"]))
    "#]],
    );
}

#[test]
fn another_delimiter_and_another_encoding_can_be_chosen() {
    let world = world(b"serial;site\nC02AA;K\xf6ln \x80\n", b';', Encoding::Windows1252);
    expect![[r#"
        columns ["serial", "site"], 1 rows, 0 without key
        C02AA: Ok(Some(["C02AA", "Köln €"]))
    "#]]
    .assert_eq(&world.said(&["C02AA"]));
}

#[test]
fn an_empty_file_has_no_header() {
    check(
        "",
        &[],
        expect![[r#"
        error: the file is empty
         --> DIR/assets.csv
          = help: its first line names the columns, the others are the rows
    "#]],
    );
}

#[test]
fn a_file_without_the_key_column_is_told_what_its_first_line_names() {
    check(
        "C02AA,Lyon\nC02AB,Paris\n",
        &[],
        expect![[r#"
            error: the first line names no column `serial`, which is to be the key
             --> DIR/assets.csv:1
              = help: the first line has to name the columns; it says `C02AA`, `Lyon`
        "#]],
    );
    check(
        "serail,site\nC02AA,Lyon\n",
        &[],
        expect![[r#"
        error: the first line names no column `serial`, which is to be the key
         --> DIR/assets.csv:1
          = help: did you mean `serail`?
    "#]],
    );
    check(
        "serial;site\nC02AA;Lyon\n",
        &[],
        expect![[r#"
        error: the first line names no column `serial`, which is to be the key
         --> DIR/assets.csv:1
          = help: write `delimiter = ";"` if cells are separated so
    "#]],
    );
    check(
        "serial,site,site\nC02AA,Lyon,Paris\n",
        &[],
        expect![[r#"
        error: two columns are called `site`
         --> DIR/assets.csv:1
          = help: give one of them another name
    "#]],
    );
}

#[test]
fn two_rows_with_one_key_are_both_named() {
    check(
        "serial,site\nC02AA,Lyon\nC02AB,\"a\nb\"\n\nc02aa ,Paris\n",
        &[],
        expect![[r#"
        error: line 2 has the key `C02AA` already
         --> DIR/assets.csv:6
          = help: keep one of the two rows
    "#]],
    );
}

#[test]
fn rows_with_too_many_and_too_few_cells_are_told_together() {
    check(
        "serial,site\nC02AA,Lyon, 3rd floor\nC02AB\nC02AC,Paris\n",
        &[],
        expect![[r#"
        error: 3 cells, and the first line names 2 columns
         --> DIR/assets.csv:2
          = help: put a cell that contains the delimiter in quotes

        error: 1 cell, and the first line names 2 columns
         --> DIR/assets.csv:3
          = help: an empty cell needs its delimiter all the same
    "#]],
    );
}

#[test]
fn a_file_that_is_all_wrong_is_not_told_line_by_line() {
    let rows = "C02AA\n".repeat(40);
    let world = world(format!("serial,site\n{rows}").as_bytes(), b',', Encoding::Utf8);
    world.said(&[]);
    let wrong = world.table.wrong().unwrap();
    assert_eq!((wrong.mistakes.len(), wrong.more), (10, true));
}

#[test]
fn half_a_quote_is_told_where_it_opens() {
    check(
        "serial,site\nC02AA,\"Lyon\nC02AB,Paris\n",
        &[],
        expect![[r#"
        error: the quote that opens a cell here is not closed
         --> DIR/assets.csv:2
          = help: close the quote; a quote within a quoted cell is written twice
    "#]],
    );
    check(
        "serial,site\nC02AA,\"Lyon\nC02AB,Paris\nC02AC,\"Rome\"\n",
        &[],
        expect![[r#"
        error: the quote that opens a cell here closes in line 4, and text follows it
         --> DIR/assets.csv:2
          = help: close the quote; a quote within a quoted cell is written twice
    "#]],
    );
    let long = format!("serial,site\nC02AA,\"Lyon\n{}", "C02AB,Paris\n".repeat(10_000));
    check(
        &long,
        &[],
        expect![[r#"
        error: the quote that opens a cell here is not closed
         --> DIR/assets.csv:2
          = help: close the quote; a quote within a quoted cell is written twice
    "#]],
    );
}

#[test]
fn other_encodings_are_told_with_what_to_do() {
    let said = |bytes: &[u8]| world(bytes, b',', Encoding::Utf8).said(&[]);
    expect![[r#"
        error: this line is not UTF-8
         --> DIR/assets.csv:3
          = help: save the file as UTF-8, or write `encoding = "windows-1252"` if that is what it is
    "#]]
    .assert_eq(&said(b"serial,site\nC02AA,Lyon\nC02AB,K\xf6ln\n"));
    expect![[r#"
        error: this is UTF-16, not UTF-8
         --> DIR/assets.csv:1
          = help: save it as UTF-8: in Excel, as `CSV UTF-8 (comma delimited)`
    "#]]
    .assert_eq(&said(b"\xff\xfes\0e\0r\0i\0a\0l\0\n\0"));
}

#[test]
fn a_file_that_is_not_there_says_so() {
    let world = world(b"", b',', Encoding::Utf8);
    std::fs::remove_file(world.folder.path().join("assets.csv")).unwrap();
    expect![[r#"
        error: cannot be read: No such file or directory (os error 2)
         --> DIR/assets.csv
          = help: put it there, or change `csv` of the table in deputy.toml
    "#]]
    .assert_eq(&world.said(&[]));
}

#[test]
fn a_changed_file_is_read_again_and_who_took_the_table_before_keeps_it() {
    let world = world(b"serial,site\nC02AA,Lyon\n", b',', Encoding::Utf8);
    let before = world.table.now().unwrap();
    world.write("serial,site\nC02AA,Paris\n");
    let after = world.table.now().unwrap();
    assert_eq!(before.row("C02AA").unwrap().unwrap(), ["C02AA", "Lyon"]);
    assert_eq!(after.row("C02AA").unwrap().unwrap(), ["C02AA", "Paris"]);
    assert_ne!(before.digest(), after.digest());
}

#[test]
fn a_file_that_went_wrong_leaves_what_was_right_before() {
    let world = world(b"serial,site\nC02AA,Lyon\n", b',', Encoding::Utf8);
    world.said(&[]);
    world.write("serial,site\nC02AA\n");
    expect![[r#"
        columns ["serial", "site"], 1 rows, 0 without key
        C02AA: Ok(Some(["C02AA", "Lyon"]))
        error: 1 cell, and the first line names 2 columns
         --> DIR/assets.csv:2
          = help: an empty cell needs its delimiter all the same
    "#]]
    .assert_eq(&world.said(&["C02AA"]));
    world.write("serial\nC02AA\n");
    expect![[r#"
        columns ["serial", "site"], 1 rows, 0 without key
        C02AA: Ok(Some(["C02AA", "Lyon"]))
        error: the column `site` is gone, and a policy may look at it
         --> DIR/assets.csv:1
          = help: put it back, or reload the configuration if that is meant
    "#]]
    .assert_eq(&world.said(&["C02AA"]));
    world.table.reloaded();
    expect![[r#"
        columns ["serial"], 1 rows, 0 without key
        C02AA: Ok(Some(["C02AA"]))
    "#]]
    .assert_eq(&world.said(&["C02AA"]));
    world.write("serial,site\nC02AA,Rome\n");
    expect![[r#"
        columns ["serial", "site"], 1 rows, 0 without key
        C02AA: Ok(Some(["C02AA", "Rome"]))
    "#]]
    .assert_eq(&world.said(&["C02AA"]));
}

#[test]
fn a_column_that_was_let_go_by_mistake_is_taken_back_with_the_table_it_was_in() {
    let world = world(b"serial,site\nC02AA,Lyon\n", b',', Encoding::Utf8);
    world.said(&[]);
    world.table.reloaded();
    assert!(!world.table.take_back(), "nothing went");
    world.write("serial\nC02AA\n");
    expect![[r#"
        columns ["serial"], 1 rows, 0 without key
    "#]]
    .assert_eq(&world.said(&[]));
    assert!(world.table.take_back());
    expect![[r#"
        columns ["serial", "site"], 1 rows, 0 without key
        C02AA: Ok(Some(["C02AA", "Lyon"]))
        error: the column `site` is gone, and a policy may look at it
         --> DIR/assets.csv:1
          = help: put it back, or reload the configuration if that is meant
    "#]]
    .assert_eq(&world.said(&["C02AA"]));
    world.table.reloaded();
    assert!(world.table.now().is_some() && world.table.take_back(), "as long as it is not mended");
    world.table.reloaded();
    world.write("serial,site\nC02AA,Rome\n");
    assert!(world.table.now().is_some() && !world.table.take_back(), "it was mended");
}

#[test]
fn a_trouble_of_the_disk_is_over_when_it_is_over() {
    let content = b"serial,site\nC02AA,Lyon\n";
    let world = world(content, b',', Encoding::Utf8);
    // Old enough that it would not be read again.
    let file = File::options().append(true).open(world.folder.path().join("assets.csv")).unwrap();
    file.set_modified(SystemTime::now() - RACY * 10).unwrap();
    let copies = Copies::of_tables(&world.folder.path().join("state/deputy.db"));
    let in_the_way = copies.path(&domain::id::Digest::of(content));
    std::fs::create_dir_all(&in_the_way).unwrap();
    assert!(world.table.now().is_none());
    std::fs::remove_dir(&in_the_way).unwrap();
    expect![[r#"
        columns ["serial", "site"], 1 rows, 0 without key
    "#]]
    .assert_eq(&world.said(&[]));
}

#[test]
fn a_private_copy_that_somebody_changed_is_not_believed() {
    let world = world(b"serial,site\nC02AA,Lyon\n", b',', Encoding::Utf8);
    let table = world.table.now().unwrap();
    let copy = Copies::of_tables(&world.folder.path().join("state/deputy.db")).path(table.digest());
    std::fs::write(copy, "serial,site\nC02ZZ,Rome\n").unwrap();
    expect!["the private copy of the table has been changed"]
        .assert_eq(&table.row("C02AA").unwrap_err().to_string());
}

#[test]
fn every_row_of_a_large_table_is_found() {
    let rows: String = (0..50_000).map(|n| format!("C{n:05},\"site {n}\"\r\n")).collect();
    let world = world(format!("serial,site\r\n{rows}").as_bytes(), b',', Encoding::Utf8);
    let table = world.table.now().unwrap();
    assert_eq!(table.rows(), 50_000);
    for n in 0..50_000 {
        assert_eq!(table.row(&format!("c{n:05}")).unwrap().unwrap()[1], format!("site {n}"));
    }
    assert_eq!(table.row("C99999").unwrap(), None);
}

#[test]
fn a_file_that_is_read_otherwise_is_another_table() {
    let mark = |delimiter, encoding| {
        let world = world("serial\nC02AA\n".as_bytes(), delimiter, encoding);
        world.table.now().unwrap().mark()
    };
    assert_eq!(mark(b',', Encoding::Utf8), mark(b',', Encoding::Utf8));
    assert_ne!(mark(b',', Encoding::Utf8), mark(b';', Encoding::Utf8));
    assert_ne!(mark(b',', Encoding::Utf8), mark(b',', Encoding::Windows1252));
}
