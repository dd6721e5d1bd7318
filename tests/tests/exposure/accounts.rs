//! S1: accounts, and what the whole database with all of the operator's keys says about what else
//! their owners do.

use crate::database::{Database, operator_keys, strip_record};
use crate::search::Search;
use crate::world::{Known, World, connect};
use sordino_client::{Client, GroupSettings, Invited};
use sordino_crypto::{Space, expand, open_layer, sha256};
use sordino_wire::Handle;
use std::collections::BTreeSet;

/// People, rooms, and how many of the next ones each room's maker brings in.
const PEOPLE: usize = 30;
const ROOMS: usize = 25;

/// Labels that anybody can read in the protocol.
const PUBLIC_LABELS: [&str; 12] = [
    "head",
    "tree",
    "roster",
    "pending",
    "delivery",
    "locator",
    "stream",
    "entry",
    "set tag",
    "user auth key",
    "client pseudonym",
    "state at rest",
];

/// Everything that stands in account rows, and what follows from it without a secret.
fn of_account(client: &Client) -> Vec<Vec<u8>> {
    let credential = client.credential();
    let handle = credential.user.as_str().rsplit('/').next().unwrap();
    let mut values = vec![
        handle.as_bytes().to_vec(),
        credential.user.as_str().as_bytes().to_vec(),
        credential.client.as_str().as_bytes().to_vec(),
        credential.signature_key.as_slice().to_vec(),
        credential.account_key.as_slice().to_vec(),
        credential.account_signature.as_slice().to_vec(),
    ];
    for value in values.clone() {
        let hash = sha256(&value);
        values.push(hash.0[..16].to_vec());
        for label in PUBLIC_LABELS {
            for context in [&b""[..], &value] {
                let derived = expand::<32>(&hash.0, label, context).unwrap();
                values.push(derived[..16].to_vec());
                if let Ok(key) = <[u8; 32]>::try_from(value.as_slice()) {
                    values.push(expand::<32>(&key, label, context).unwrap()[..16].to_vec());
                }
            }
        }
    }
    values
}

/// People who meet in rooms, each with the next ones.
async fn society(world: &World, names: &[String], rooms: usize) -> Vec<Client> {
    let mut people = Vec::new();
    for name in names {
        people.push(world.user(name).await);
    }
    for room in 0..rooms {
        let maker = &people[room];
        let guest = &people[(room + 1) % people.len()];
        connect(maker, guest).await;
        let group = maker.create_group(GroupSettings::closed()).await.unwrap();
        let invited = group.invite(&guest.credential().user).await.unwrap();
        assert_eq!(invited, Invited::Added);
        guest.sync_once().await.unwrap();
        group.send(b"in this room").await.unwrap();
        guest.sync_once().await.unwrap();
    }
    people
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_links_an_account_to_anything_else() {
    let world = World::start().await;
    let names: Vec<String> = (0..PEOPLE)
        .map(|n| format!("somebody-{n:02}-here"))
        .collect();
    let people = society(&world, &names, ROOMS).await;
    let data = world.data_dir();
    let database = Database::copy_of(&data);
    let outer = operator_keys(&data, &database);
    world.hub.shutdown().await;

    let mut known = Known::new();
    for person in &people {
        let values = of_account(person).into_iter();
        known.extend(values.map(|value| ("account value", value)));
    }
    let search = Search::in_files(&known);

    // The rows of accounts open under the operator's keys and the handle, and hold these values.
    let mut accounts = BTreeSet::new();
    for name in &names {
        let handle = Handle::new(name.clone()).unwrap();
        let key = outer
            .index()
            .blind(Space::Account, handle.as_str().as_bytes())
            .unwrap();
        let (address, inner) = strip_record(&outer, key, &database.records[&key]).unwrap();
        let layer = outer.index().account_layer(&handle).unwrap();
        let row = open_layer(&layer, &address, &inner).unwrap();
        assert!(!search.kinds_in(&row).is_empty());
        accounts.insert(key);
    }
    assert_eq!(accounts.len(), PEOPLE);

    // Nothing else does, be it a name of a row, or a row with the operator's layer taken off.
    let mut looked_at = 0;
    for (key, value) in &database.records {
        if accounts.contains(key) {
            continue;
        }
        let inner = strip_record(&outer, *key, value).map(|(_, inner)| inner);
        for bytes in [&key[..], value, &inner.unwrap_or_default()] {
            assert_eq!(search.kinds_in(bytes), BTreeSet::new());
        }
        looked_at += 1;
    }
    for rows in [&database.entries, &database.heads, &database.replay] {
        for (key, value) in rows {
            assert_eq!(search.kinds_in(key), BTreeSet::new());
            assert_eq!(search.kinds_in(value), BTreeSet::new());
            looked_at += 1;
        }
    }
    assert!(looked_at > 500, "{looked_at}");
    println!(
        "{} values in none of {looked_at} other rows",
        search.things()
    );
}

/// How many rows there are of which size, without those of accounts.
fn shape(world: &World, names: &[String]) -> Vec<(usize, usize)> {
    let data = world.data_dir();
    let database = Database::copy_of(&data);
    let outer = operator_keys(&data, &database);
    let mut sizes = Vec::new();
    for rows in [&database.entries, &database.heads, &database.replay] {
        sizes.extend(rows.values().map(Vec::len));
    }
    let accounts: BTreeSet<[u8; 16]> = names
        .iter()
        .map(|name| {
            outer
                .index()
                .blind(Space::Account, name.as_bytes())
                .unwrap()
        })
        .collect();
    let others = database
        .records
        .iter()
        .filter(|(key, _)| !accounts.contains(*key));
    sizes.extend(others.map(|(_, value)| value.len()));
    sizes.sort_unstable();
    let mut counted: Vec<(usize, usize)> = Vec::new();
    for size in sizes {
        match counted.last_mut() {
            Some((known, count)) if *known == size => *count += 1,
            _ => counted.push((size, 1)),
        }
    }
    counted
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_who_change_places_leave_the_same_rows() {
    // As different as names can be.
    let names = [
        "al",
        "bernadette-with-a-very-long-name",
        "carla",
        "dieter-the-second",
    ];
    let mut shapes = Vec::new();
    for order in [[0, 1, 2, 3], [1, 0, 2, 3]] {
        let world = World::start().await;
        let cast: Vec<String> = order.iter().map(|n| names[*n].to_owned()).collect();
        let people = society(&world, &cast, 3).await;
        for _ in 0..3 {
            for person in &people {
                person.sync_once().await.unwrap();
            }
        }
        shapes.push(shape(&world, &cast));
        world.hub.shutdown().await;
    }
    assert!(shapes[0].len() > 5);
    assert_eq!(shapes[0], shapes[1]);
}
