//! A first fetch that is broken off, and devices that are listed twice.

use super::*;
use crate::secrets::Key;
use crate::store::Renamed;

/// A store with a token of each of these names.
async fn store(folder: &std::path::Path, tokens: &[&str]) -> Store {
    let key = || Key::from_text(&"0".repeat(64), "a test").unwrap();
    let store = Store::open(&folder.join("deputy.db"), key()).await.unwrap();
    for name in tokens {
        let sealed = crate::secrets::seal(&key(), &format!("credentials of {name}"), b"secret");
        let name = (*name).to_owned();
        let own = name.clone();
        let insert = "INSERT INTO token (name, server_name, server_uuid, org_name, admin_id, expires_at,
            imported_at, credentials) VALUES (?1, 's', 'u', 'o', 'a', 1, 2, ?2)";
        store.write(move |connection| Ok(connection.execute(insert, params![own, sealed])?)).await.unwrap();
        store.begin_full_fetch(&name.parse().unwrap()).await.unwrap();
    }
    store
}

fn seen() -> Seen {
    Seen { run: "20260109-091320-k3f9wq".parse().unwrap(), at: Timestamp::UNIX_EPOCH }
}

/// A page of a full fetch.
fn page(serials: &str) -> Pages {
    let device = |serial: &str| domain::device::Device::new(serial.parse().unwrap());
    let changes = serials.split_whitespace().map(|serial| crate::store::actions::listed(device(serial)));
    Pages { changes: changes.collect(), unreadable: Vec::new(), cursor: None, phase: Phase::Fetch }
}

#[tokio::test]
async fn a_device_listed_twice_before_a_break_leaves_none_after_it_unfound() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path(), &["emea"]).await;
    let token = "emea".parse().unwrap();
    store.store_pages(&token, page("A B B"), seen()).await.unwrap();
    assert_eq!(store.enter_serials(&token, seen()).await.unwrap(), 1);
    store.store_pages(&token, page("C"), seen()).await.unwrap();
    store.enter_serials(&token, seen()).await.unwrap();
    store.complete_full_fetch(&token, None, seen()).await.unwrap();
    for serial in ["A", "B", "C"] {
        assert_eq!(store.find_device(&serial.parse().unwrap()).await.unwrap().len(), 1, "{serial}");
    }
    assert_eq!(store.devices_of(&token, None).await.unwrap(), 3);
}

#[tokio::test]
async fn a_first_fetch_that_broke_before_anything_came_is_still_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path(), &["emea"]).await;
    let token = "emea".parse().unwrap();
    // The second of these is begun again; only a first fetch appends what is listed twice.
    store.begin_full_fetch(&token).await.unwrap();
    let result = store.store_pages(&token, page("A B B"), seen()).await.unwrap();
    assert_eq!(result.added, 3);
    assert_eq!(store.enter_serials(&token, seen()).await.unwrap(), 1);
    store.begin_full_fetch(&token).await.unwrap();
    assert_eq!(store.store_pages(&token, page("C C"), seen()).await.unwrap().added, 1);
}

#[tokio::test]
async fn a_token_whose_name_is_a_number_takes_no_devices_of_others_along() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path(), &["emea", "1"]).await;
    let (emea, one, two) = ("emea".parse().unwrap(), "1".parse().unwrap(), "2".parse().unwrap());
    store.store_pages(&emea, page("A"), seen()).await.unwrap();
    store.store_pages(&one, page("B"), seen()).await.unwrap();
    for token in [&emea, &one] {
        store.enter_serials(token, seen()).await.unwrap();
    }
    assert_eq!(store.rename_token(&one, &two).await.unwrap(), Renamed::Done);
    let owner = |found: Vec<crate::store::StoredDevice>| found[0].token.to_string();
    assert_eq!(owner(store.find_device(&"A".parse().unwrap()).await.unwrap()), "emea");
    assert_eq!(owner(store.find_device(&"B".parse().unwrap()).await.unwrap()), "2");
}
