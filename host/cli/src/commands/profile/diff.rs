//! `deputy profile diff`: the file, what was sent, and what Apple keeps, side by side.

use domain::apple_profile::compare::{Row, compare, differ};
use domain::id::{ProfileName, TokenName};
use engine::profiles::{Copies, copies};
use serde_json::{Map, Value, json};

use super::{known, object};
use crate::Common;
use crate::app::App;
use crate::exit::{Exit, Outcome, Problem};
use crate::output::{print, print_json, print_table, time};

/// Carries the command out.
pub(super) async fn run(common: &Common, app: &App, name: &ProfileName, tokens: &[TokenName]) -> Outcome {
    let (_, definition) = known(app, name)?;
    let file = object(&definition.body);
    let (mut worst, mut data) = (Exit::Success, Vec::new());
    for token in app.tokens(tokens)? {
        let copies = match copies(&app.engine, &token, name).await {
            Ok(copies) => copies,
            Err(error) => {
                let problem = Problem::from(&error);
                worst = worst.or_worse(problem.exit);
                problem.print();
                continue;
            }
        };
        let (rows, same) = laid_out(file, &copies);
        if !same {
            worst = worst.or_worse(Exit::Failure);
        }
        if common.json {
            data.push(json!({
                "token": token, "id": copies.defined.as_ref().map(|it| &it.id),
                "defined_at": copies.defined.as_ref().map(|it| it.at),
                "apple_knows_it": copies.apple.is_some(), "same": same,
                "fields": rows.iter().map(field_json).collect::<Vec<_>>(),
            }));
        } else {
            tell(name, &token, &copies, &rows, same);
        }
    }
    if common.json {
        print_json("diff", &data.into());
    }
    Ok(worst)
}

/// The three side by side, and whether they are the same.
fn laid_out(file: &Map<String, Value>, copies: &Copies) -> (Vec<Row>, bool) {
    let recorded = copies.defined.as_ref().and_then(|it| it.body.as_ref()).map(object);
    let rows = compare(&[Some(file), recorded, copies.apple.as_ref()]);
    let same = copies.apple.is_some() && !differ(&rows);
    (rows, same)
}

fn field_json(row: &Row) -> Value {
    json!({
        "field": row.field, "differs": row.differs,
        "file": row.values[0], "recorded": row.values[1], "apple": row.values[2],
    })
}

fn tell(name: &ProfileName, token: &TokenName, copies: &Copies, rows: &[Row], same: bool) {
    let Some(defined) = &copies.defined else {
        return print(&format!(
            "{token}: {name} is not defined at Apple yet; `deputy profile push {name} --token {token}` does it"
        ));
    };
    let what = format!("{token}: {name}, defined as {} on {}", defined.id, time(defined.at));
    if same {
        return print(&format!("{what}: file, record and Apple's copy are the same"));
    }
    print(&what);
    if defined.body.is_none() {
        print("  what was sent then is not on record: an older Deputy defined it");
    }
    if copies.apple.is_none() {
        print("  Apple does not know it any more; the next run that assigns it defines it again");
    }
    let rows: Vec<[String; 4]> = rows
        .iter()
        .filter(|row| row.differs)
        .filter_map(|row| {
            let [file, recorded, apple] = row.words().try_into().ok()?;
            Some([row.field.clone(), file, recorded, apple])
        })
        .collect();
    if !rows.is_empty() {
        print_table(["field", "file", "recorded", "apple"], rows, "");
    }
}
