//! Price lists as clients fetch them and operators write them.

use sordino_tokens::{
    Due, Operation, Price, PriceList, PriceListRefused, TokenClass, parse_price_list,
};

fn due(operation: Operation, units: usize) -> Option<Due> {
    PriceList::default().price(operation).due(units).unwrap()
}

fn some(class: TokenClass, tokens: usize) -> Option<Due> {
    Some(Due { class, tokens })
}

#[test]
fn the_default_prices_are_those_of_the_design() {
    use TokenClass::{Contact, Write};
    assert_eq!(due(Operation::CreateGroup, 1), some(Write, 5));
    assert_eq!(due(Operation::Join, 1), some(Write, 2));
    assert_eq!(due(Operation::OpenFollowerStream, 1), some(Write, 1));
    assert_eq!(due(Operation::SendOverBudget, 1), some(Write, 1));
    for operation in [Operation::OpenInboxes, Operation::PublishKeyPackages] {
        let tokens: Vec<_> = (0..=9)
            .map(|units| due(operation, units).map_or(0, |due| due.tokens))
            .collect();
        assert_eq!(tokens, [0, 1, 1, 1, 1, 2, 2, 2, 2, 3]);
    }
    assert_eq!(due(Operation::FetchKeyPackages, 1), some(Contact, 1));
    assert_eq!(due(Operation::LookUpHandle, 1), some(Contact, 1));
    assert_eq!(due(Operation::RequestConnection, 1), some(Contact, 2));
    assert_eq!(due(Operation::OpenInboxes, 0), None);
    for operation in [
        Operation::MemberOperation,
        Operation::Resync,
        Operation::Rekey,
        Operation::KeyRequest,
        Operation::JoinByWelcome,
        Operation::AddOwnDevice,
    ] {
        assert_eq!(due(operation, 1), None, "{operation:?}");
    }
}

#[test]
fn more_than_a_request_can_carry_has_to_be_split() {
    let price = PriceList::default().price(Operation::OpenInboxes);
    assert!(price.due(32).is_ok());
    assert_eq!(price.due(33), Err(PriceListRefused::Amount));
    assert_eq!(price.due(usize::MAX), Err(PriceListRefused::Amount));
}

#[test]
fn a_list_is_fetched_as_it_was_written() {
    let list = PriceList::default()
        .with(Operation::Join, Price::Free)
        .and_then(|list| {
            list.with(
                Operation::Resync,
                Price::Tokens {
                    class: TokenClass::Contact,
                    tokens: 8,
                    per: 9,
                },
            )
        })
        .unwrap();
    assert_eq!(parse_price_list(list.to_json().as_bytes()), Ok(list));
}

#[test]
fn a_price_without_units_is_for_every_one() {
    let json = PriceList::default().to_json();
    let short = json.replace(r#","per":1}"#, "}");
    assert_ne!(short, json);
    assert_eq!(parse_price_list(short.as_bytes()), Ok(PriceList::default()));
}

#[test]
fn prices_stay_within_what_a_request_can_carry() {
    for (tokens, per) in [(0, 1), (9, 1), (255, 1), (1, 0)] {
        let price = Price::Tokens {
            class: TokenClass::Write,
            tokens,
            per,
        };
        let refused = PriceList::default().with(Operation::Join, price);
        assert_eq!(refused, Err(PriceListRefused::Amount));
        let json = PriceList::default().to_json().replace(
            r#""join":{"class":"write","tokens":2,"per":1}"#,
            &format!(r#""join":{{"class":"write","tokens":{tokens},"per":{per}}}"#),
        );
        assert_eq!(
            parse_price_list(json.as_bytes()),
            Err(PriceListRefused::Amount)
        );
    }
}

#[test]
fn what_newer_hubs_add_is_skipped() {
    let json = PriceList::default().to_json();
    let newer = json
        .replace(
            r#""prices":{"#,
            r#""prices":{"teleport":{"class":"write","tokens":3},"#,
        )
        .replace(r#""free":["#, r#""more":1,"free":["breathe","#);
    assert_ne!(newer, json);
    assert_eq!(parse_price_list(newer.as_bytes()), Ok(PriceList::default()));
}

#[test]
fn every_operation_has_one_price() {
    let json = PriceList::default().to_json();
    let parse = |json: &str| parse_price_list(json.as_bytes());
    let none = json.replace("\"rekey\"", "\"nothing\"");
    assert_eq!(parse(&none), Err(PriceListRefused::Operations));
    let two = json.replace("\"free\":[", "\"free\":[\"join\",");
    assert_eq!(parse(&two), Err(PriceListRefused::Operations));
    let version = json.replace("\"version\":1", "\"version\":2");
    assert_eq!(parse(&version), Err(PriceListRefused::Version));
    for broken in ["", "{}", "[]", "null", &json[1..], &json[..json.len() - 1]] {
        assert_eq!(parse(broken), Err(PriceListRefused::Malformed), "{broken}");
    }
    let class = json.replace("\"class\":\"contact\"", "\"class\":\"gold\"");
    assert_eq!(parse(&class), Err(PriceListRefused::Malformed));
    let padded = |bytes: usize| format!("{json}{}", " ".repeat(bytes - json.len()));
    assert!(parse(&padded(16 * 1024)).is_ok());
    let long = padded(16 * 1024 + 1);
    assert_eq!(parse(&long), Err(PriceListRefused::Malformed));
}

#[test]
fn names_are_those_of_the_list() {
    let json = PriceList::default().to_json();
    for operation in Operation::ALL {
        assert!(
            json.contains(&format!("\"{}\"", operation.name())),
            "{operation:?}"
        );
    }
}
