//! How much one network may ask, and where its address is looked for.

use crate::client::{Client, TestServer, Version, read_request, request};
use hyper::Method;
use sordino_server::{Budget, ClientAddress, PrefixLengths, Rate, TestClock};
use sordino_wire::media;
use std::sync::Arc;

const NOW_S: u64 = 1_800_000_000;

/// Three requests at once, one more each second; behind a proxy that says `X-Seen`.
async fn behind_a_proxy(clock: &TestClock) -> TestServer {
    TestServer::start_with(|config| {
        config.clock = Arc::new(clock.clone());
        config.behind_proxy = true;
        config.client_address = ClientAddress::Header("x-seen".parse().unwrap());
        config.prefix_lengths = PrefixLengths {
            ipv4_bits: 24,
            ipv6_bits: 48,
        };
        config.budgets.network = Budget {
            requests: Rate::new(3, 60).unwrap(),
            bytes: None,
        };
    })
    .await
}

async fn ask(client: &mut Client, seen: Option<&str>) -> u16 {
    let mut sent = request(
        Method::POST,
        media::STREAMS,
        Some(media::OCTETS),
        read_request(0),
    );
    if let Some(seen) = seen {
        sent.headers_mut().insert("x-seen", seen.parse().unwrap());
    }
    let answer = client.send(sent).await;
    if answer.status == 429 {
        answer.assert_problem(429, "rate_limited");
        assert_eq!(answer.headers["retry-after"], "1");
    }
    answer.status.as_u16()
}

#[tokio::test]
async fn a_network_has_a_budget_that_comes_back() {
    let clock = TestClock::new(NOW_S);
    let server = behind_a_proxy(&clock).await;
    let mut client = Client::connect(server.address(), Version::Two).await;
    for address in ["192.0.2.1", "192.0.2.77", "198.51.100.1, 192.0.2.3"] {
        assert_eq!(ask(&mut client, Some(address)).await, 200);
    }
    assert_eq!(ask(&mut client, Some("192.0.2.200")).await, 429);
    // Others, and those of whom nothing is known, go on.
    assert_eq!(ask(&mut client, Some("192.0.3.1")).await, 200);
    assert_eq!(ask(&mut client, Some("2001:db8:1::1")).await, 200);
    for unknown in [None, Some("unknown"), Some("127.0.0.1"), Some("")] {
        for _ in 0..4 {
            assert_eq!(ask(&mut client, unknown).await, 200, "{unknown:?}");
        }
    }
    clock.advance(1);
    assert_eq!(ask(&mut client, Some("192.0.2.1")).await, 200);
    assert_eq!(ask(&mut client, Some("192.0.2.1")).await, 429);
}

#[tokio::test]
async fn without_a_proxy_no_header_is_believed() {
    let server = TestServer::start_with(|config| {
        config.budgets.network = Budget {
            requests: Rate::new(1, 1).unwrap(),
            bytes: None,
        };
    })
    .await;
    let mut client = Client::connect(server.address(), Version::One).await;
    // From loopback there is no network, whatever the header says.
    for _ in 0..5 {
        assert_eq!(ask(&mut client, Some("192.0.2.1")).await, 200);
    }
}
