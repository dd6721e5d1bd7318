//! Directories: what an issuer says, what a client reads, what it demands.

use crate::support::{DAY_S, NOW_S, epoch, key, private_key, rng};
use sordino_tokens::{
    ConsistencyPolicy, Directory, Epoch, Inconsistent, IssuerKeys, KeyTerms, ListedKey, TokenClass,
    TokenType, parse_directory, plan,
};

const URI: &str = "/token-request";

fn hub_keys() -> IssuerKeys {
    let mut keys = IssuerKeys::new();
    let mut seed = 1;
    for day in [8, 7, 6] {
        for class in [TokenClass::Contact, TokenClass::Write] {
            for token_type in [TokenType::VoprfP384, TokenType::VoprfRistretto255] {
                // Distinct last bytes are a matter of luck with keys written by hand.
                loop {
                    seed += 1;
                    if keys
                        .insert(key(token_type, class, day, &private_key(token_type, seed)))
                        .is_ok()
                    {
                        break;
                    }
                }
            }
        }
    }
    keys
}

#[test]
fn keys_stand_in_the_order_of_use() {
    let directory = hub_keys().directory(URI, NOW_S);
    let order: Vec<_> = directory
        .keys
        .iter()
        .map(|key| {
            let terms = key.terms.unwrap();
            (terms.epoch.number(), terms.class, key.type_code)
        })
        .collect();
    use TokenClass::{Contact, Write};
    // The epoch that is over is not there: nothing is drawn for it.
    assert_eq!(
        order,
        [
            (7, Write, 5),
            (7, Write, 1),
            (7, Contact, 5),
            (7, Contact, 1),
            (8, Write, 5),
            (8, Write, 1),
            (8, Contact, 5),
            (8, Contact, 1),
        ]
    );
    let first = &directory.keys[0];
    assert_eq!(first.not_before_s, Some(7 * DAY_S));
    // A client of the RFC alone takes the first key of its type whose time has come.
    let passed = |key: &&ListedKey| key.type_code == 1 && key.not_before_s.unwrap() <= NOW_S;
    assert_eq!(
        directory
            .keys
            .iter()
            .find(passed)
            .unwrap()
            .terms
            .unwrap()
            .epoch
            .number(),
        7
    );
}

#[test]
fn a_directory_is_read_as_it_was_written() {
    let directory = hub_keys().directory(URI, NOW_S);
    assert_eq!(
        parse_directory(directory.to_json().as_bytes()),
        Ok(directory.clone())
    );
    let wanted = directory
        .key_at(TokenClass::Contact, TokenType::VoprfP384, NOW_S + DAY_S)
        .unwrap();
    assert_eq!(
        wanted.terms,
        Some(KeyTerms {
            class: TokenClass::Contact,
            epoch: epoch(8)
        })
    );
    let found = directory
        .find(TokenType::VoprfP384, wanted.id().truncated())
        .unwrap();
    assert_eq!(found, wanted);
    assert_eq!(
        directory.find(TokenType::BlindRsa, wanted.id().truncated()),
        None
    );
    assert_eq!(
        directory.key_at(TokenClass::Write, TokenType::BlindRsa, NOW_S),
        None
    );
    assert_eq!(
        directory.key_at(TokenClass::Write, TokenType::VoprfP384, NOW_S + 9 * DAY_S),
        None
    );
}

#[test]
fn directories_of_others_are_read() {
    let json = r#"{"issuer-request-uri":"https://issuer.example/request","extra":[1],
        "token-keys":[{"token-type":2,"token-key":"-_8","not-before":1686913811,"x":null},
        {"token-type":4660,"token-key":"-_8="}]}"#;
    let directory = parse_directory(json.as_bytes()).unwrap();
    assert_eq!(
        directory.issuer_request_uri,
        "https://issuer.example/request"
    );
    assert_eq!(directory.keys[0].not_before_s, Some(1_686_913_811));
    assert_eq!(directory.keys[0].public_key, [0xfb, 0xff]);
    assert_eq!(directory.keys[0].token_type(), None, "too short for a key");
    assert_eq!(
        (directory.keys[1].type_code, directory.keys[1].token_type()),
        (4_660, None)
    );
    assert!(directory.keys.iter().all(|key| key.terms.is_none()));
    // And written as they were, but for what nobody knows.
    let again = parse_directory(directory.to_json().as_bytes()).unwrap();
    assert_eq!(again, directory);
}

#[test]
fn terms_that_make_no_sense_are_none() {
    let directory = hub_keys().directory(URI, NOW_S);
    let json = directory.to_json();
    let terms_of_first = |json: String| parse_directory(json.as_bytes()).unwrap().keys[0].terms;
    assert!(terms_of_first(json.clone()).is_some());
    for (from, to) in [
        ("\"sordino-class\":\"write\"", "\"sordino-class\":\"gold\""),
        ("\"sordino-epoch\":7", "\"sordino-epoch\":null"),
        ("\"not-after\":691200", "\"not-after\":604800"),
        ("\"not-before\":604800,", ""),
    ] {
        let other = json.replace(from, to);
        assert_ne!(other, json, "{from}");
        assert_eq!(terms_of_first(other), None, "{from}");
    }
}

#[test]
fn malformed_directories_are_refused() {
    let json = hub_keys().directory(URI, NOW_S).to_json();
    let padded = |bytes: usize| format!("{json}{}", " ".repeat(bytes - json.len()));
    let of_keys = |count| {
        let keys = vec!["{\"token-type\":2,\"token-key\":\"AA==\"}"; count].join(",");
        format!("{{\"issuer-request-uri\":\"/\",\"token-keys\":[{keys}]}}")
    };
    for largest in [padded(64 * 1024), of_keys(64)] {
        assert!(parse_directory(largest.as_bytes()).is_ok());
    }
    for broken in [
        String::new(),
        "{}".into(),
        json[1..].into(),
        json.replace("\"token-key\":\"", "\"token-key\":\"*"),
        json.replace("\"token-type\":5", "\"token-type\":65536"),
        json.replace("\"token-type\":5", "\"token-type\":-5"),
        json.replace("\"not-before\":604800", "\"not-before\":1.5"),
        padded(64 * 1024 + 1),
        of_keys(65),
    ] {
        assert!(
            parse_directory(broken.as_bytes()).is_err(),
            "{:.80}",
            broken
        );
    }
}

struct Client {
    policy: ConsistencyPolicy,
    remembered: Option<Directory>,
}

impl Client {
    fn new() -> Self {
        Self {
            policy: ConsistencyPolicy::default(),
            remembered: None,
        }
    }

    fn check(&mut self, directory: &Directory, now_s: u64) -> Result<(), Inconsistent> {
        let remembered = self.remembered.as_ref();
        let checked = self
            .policy
            .check(directory, directory.clone(), remembered, now_s)?;
        assert_eq!(checked.directory(), directory);
        self.remembered = Some(checked.into_directory());
        Ok(())
    }
}

fn listed(seed: u8, class: TokenClass, epoch: Epoch) -> ListedKey {
    let token_type = TokenType::VoprfRistretto255;
    ListedKey {
        type_code: token_type.code(),
        public_key: key(token_type, class, 1, &private_key(token_type, seed))
            .public_key()
            .to_vec(),
        not_before_s: Some(epoch.start_s()),
        terms: Some(KeyTerms { class, epoch }),
    }
}

fn of(keys: &[ListedKey]) -> Directory {
    Directory {
        issuer_request_uri: URI.into(),
        keys: keys.to_vec(),
    }
}

const W: TokenClass = TokenClass::Write;

#[test]
fn a_hub_that_rotates_as_it_should_is_believed_for_a_year() {
    let mut keys = IssuerKeys::new();
    let mut random = rng(1);
    let mut client = Client::new();
    let offered = [
        (W, TokenType::VoprfRistretto255),
        (TokenClass::Contact, TokenType::VoprfRistretto255),
    ];
    for hour in 0..24 * 60 {
        let now_s = 20_000 * DAY_S + hour * 3_600 + 17;
        let accounts = if hour < 24 * 30 { 500 } else { 5_000 };
        let rotation = plan(
            &keys,
            &offered,
            now_s,
            sordino_tokens::epoch_length_s(accounts),
        );
        rotation
            .retire
            .iter()
            .for_each(|id| assert!(keys.retire(id)));
        for purpose in rotation.make {
            keys.generate(purpose, &mut random).unwrap();
        }
        // The client looks now and then.
        if hour % 11 == 0 || hour % 97 == 0 {
            client.check(&keys.directory(URI, now_s), now_s).unwrap();
        }
    }
}

#[test]
fn two_ways_must_lead_to_one_directory() {
    let directory = of(&[listed(1, W, epoch(7)), listed(2, W, epoch(8))]);
    let policy = ConsistencyPolicy::default();
    assert!(
        policy
            .check(&directory, directory.clone(), None, NOW_S)
            .is_ok()
    );
    let others = [
        of(&[listed(1, W, epoch(7)), listed(3, W, epoch(8))]),
        of(&[listed(2, W, epoch(8)), listed(1, W, epoch(7))]),
        of(&[listed(1, W, epoch(7))]),
        Directory {
            issuer_request_uri: "/elsewhere".into(),
            ..directory.clone()
        },
    ];
    for other in others {
        for (one, two) in [(&directory, &other), (&other, &directory)] {
            let refused = policy.check(one, two.clone(), None, NOW_S).map(|_| ());
            assert_eq!(refused, Err(Inconsistent::Differs));
        }
    }
}

#[test]
fn more_than_three_live_keys_are_refused() {
    let keys: Vec<_> = (7..=10)
        .map(|day| listed(day as u8, W, epoch(day)))
        .collect();
    assert_eq!(Client::new().check(&of(&keys[..3]), NOW_S), Ok(()));
    assert_eq!(
        Client::new().check(&of(&keys), NOW_S),
        Err(Inconsistent::TooManyKeys)
    );
    // One that is over does not count, and classes and types count apart.
    assert_eq!(Client::new().check(&of(&keys), 8 * DAY_S), Ok(()));
    let mut two_classes = keys[..3].to_vec();
    two_classes.extend((7..=9).map(|day| listed(day as u8 + 20, TokenClass::Contact, epoch(day))));
    assert_eq!(Client::new().check(&of(&two_classes), NOW_S), Ok(()));
}

#[test]
fn one_time_has_one_key() {
    let other =
        |number, from, to| listed(9, W, Epoch::new(number, from * DAY_S, to * DAY_S).unwrap());
    let first = listed(1, W, epoch(7));
    for second in [
        other(7, 7, 8),
        other(8, 7, 8),
        other(8, 6, 9),
        // Numbers that do not grow with time.
        other(7, 8, 9),
        other(6, 8, 9),
        // One key for two epochs.
        listed(1, W, epoch(8)),
    ] {
        let refused = Client::new().check(&of(&[first.clone(), second]), NOW_S);
        assert_eq!(refused, Err(Inconsistent::Overlap));
    }
}

#[test]
fn keys_that_change_too_fast_are_refused() {
    let short = Epoch::new(7, 7 * DAY_S, 8 * DAY_S - 1).unwrap();
    assert_eq!(
        Client::new().check(&of(&[listed(1, W, short)]), NOW_S),
        Err(Inconsistent::ShortEpoch)
    );
}

#[test]
fn a_known_key_stays_until_its_epoch_ends() {
    let known = of(&[listed(1, W, epoch(7)), listed(2, W, epoch(8))]);
    let client = || {
        let mut client = Client::new();
        client.check(&known, NOW_S).unwrap();
        client
    };
    assert_eq!(client().check(&known, NOW_S), Ok(()));
    for exchanged in [
        of(&[listed(1, W, epoch(7)), listed(3, W, epoch(8))]),
        of(&[listed(1, W, epoch(7))]),
        of(&[]),
        of(&[
            listed(1, W, epoch(7)),
            listed(2, TokenClass::Contact, epoch(8)),
        ]),
        of(&[
            listed(1, W, epoch(7)),
            listed(2, W, Epoch::new(8, 8 * DAY_S, 10 * DAY_S).unwrap()),
        ]),
    ] {
        assert_eq!(
            client().check(&exchanged, NOW_S),
            Err(Inconsistent::Exchanged)
        );
    }
    // When its time is over it may go.
    let later = of(&[listed(2, W, epoch(8)), listed(4, W, epoch(9))]);
    assert_eq!(client().check(&later, 8 * DAY_S), Ok(()));
}

#[test]
fn a_key_is_announced_an_epoch_ahead() {
    let mut client = Client::new();
    client
        .check(
            &of(&[listed(1, W, epoch(7)), listed(3, W, epoch(9))]),
            NOW_S,
        )
        .unwrap();
    // A key for the time in between, which the others were not told of.
    let more = of(&[
        listed(1, W, epoch(7)),
        listed(2, W, epoch(8)),
        listed(3, W, epoch(9)),
    ]);
    assert_eq!(client.check(&more, NOW_S), Err(Inconsistent::Unannounced));
    // A key behind all that are known is the announcement.
    let next = of(&[
        listed(1, W, epoch(7)),
        listed(3, W, epoch(9)),
        listed(4, W, epoch(10)),
    ]);
    assert_eq!(client.check(&next, NOW_S), Ok(()));
    // A class of its own may begin at once.
    let mut with_contact = next.keys.clone();
    with_contact.push(listed(5, TokenClass::Contact, epoch(7)));
    assert_eq!(client.check(&of(&with_contact), NOW_S), Ok(()));
}

#[test]
fn keys_of_other_issuers_do_not_count() {
    let mut keys = vec![listed(1, W, epoch(7))];
    for seed in 2..8 {
        keys.push(ListedKey {
            terms: None,
            ..listed(seed, W, epoch(7))
        });
    }
    assert_eq!(Client::new().check(&of(&keys), NOW_S), Ok(()));
}
