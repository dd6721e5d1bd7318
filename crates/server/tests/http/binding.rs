//! Addresses, methods, media types.

use crate::client::{BOTH, Client, TestServer, read_request, request};
use hyper::Method;
use sordino_wire::{Reject, ResponseBody, media};

const POSTS: [&str; 5] = [
    media::GROUP_OPERATION,
    media::WELCOME_INFORMATION,
    media::EXTERNAL_COMMIT_INFORMATION,
    media::STREAMS,
    media::INBOXES,
];

#[tokio::test]
async fn the_server_tells_that_it_lives_and_what_it_is() {
    let server = TestServer::start().await;
    let domain = server.running.domain().as_str().to_owned();
    assert_eq!(domain, server.address().to_string());
    for version in BOTH {
        let mut client = Client::connect(server.address(), version).await;
        for path in ["/healthz", "/readyz"] {
            let answer = client.get(path).await;
            assert_eq!(answer.status, 200, "{path}");
            assert_eq!(answer.headers["cache-control"], "no-store");
        }
        assert_eq!(client.get(media::DS_DOMAIN).await.body, domain);
        let directory = client.get(media::DIRECTORY).await;
        assert_eq!(directory.headers["content-type"], "application/json");
        let directory = String::from_utf8(directory.body.to_vec()).unwrap();
        let key = hex::encode(server.running.hub_signature_key().as_slice());
        assert_eq!(key.len(), 64);
        for part in [
            format!(r#""domain":"{domain}""#),
            format!(r#""hub_signature_key":"{key}""#),
            format!(r#""streams":"http://{domain}/streams""#),
            format!(r#""accounts":"http://{domain}/accounts""#),
            format!(r#""connection_request":"http://{domain}/connection_request""#),
            format!(r#""streams_live":"ws://{domain}/streams/live""#),
        ] {
            assert!(directory.contains(&part), "{part} in {directory}");
        }
    }
}

#[tokio::test]
async fn requests_are_answered_padded() {
    let server = TestServer::start().await;
    for version in BOTH {
        let mut client = Client::connect(server.address(), version).await;
        let answer = client.post(media::STREAMS, read_request(0)).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body.len(), 512);
        assert_eq!(answer.headers["content-type"], media::OCTETS);
        assert_eq!(answer.headers["cache-control"], "no-store");
        let ResponseBody::Streams(pages) = client.ask(media::STREAMS, &read_request(0)).await
        else {
            panic!("not pages");
        };
        // An unknown stream is an empty one.
        assert_eq!(pages.pages.len(), 1);
        assert!(pages.pages.as_slice()[0].entries.is_empty());
    }
}

#[tokio::test]
async fn what_is_not_a_request_is_refused_inside_the_protocol() {
    let server = TestServer::start().await;
    let whole = read_request(0);
    for version in BOTH {
        let mut client = Client::connect(server.address(), version).await;
        for path in POSTS {
            for body in [&whole[..whole.len() - 1], &whole[..3], &[], &[0xff; 512]] {
                let answer = client.ask(path, body).await;
                let ResponseBody::Rejected(reject) = answer else {
                    panic!("not refused");
                };
                let expected = matches!(
                    reject,
                    Reject::Malformed | Reject::UnsupportedVersion { .. }
                );
                assert!(expected, "{path}: {reject}");
            }
        }
        let answer = client.ask(media::INBOXES, &whole).await;
        assert_eq!(answer, ResponseBody::Rejected(Reject::WrongEndpoint));
    }
}

#[tokio::test]
async fn other_media_types_are_refused() {
    let server = TestServer::start().await;
    for version in BOTH {
        let mut client = Client::connect(server.address(), version).await;
        for content_type in [
            None,
            Some("application/json"),
            Some("application/octet"),
            Some(""),
        ] {
            for path in POSTS {
                let request = request(Method::POST, path, content_type, read_request(0));
                client
                    .send(request)
                    .await
                    .assert_problem(415, "unsupported_media_type");
            }
        }
        let mut encoded = request(
            Method::POST,
            media::STREAMS,
            Some(media::OCTETS),
            read_request(0),
        );
        encoded
            .headers_mut()
            .insert("content-encoding", "gzip".parse().unwrap());
        client
            .send(encoded)
            .await
            .assert_problem(415, "unsupported_media_type");
        let cased = Some("Application/Octet-Stream; a=b");
        let cased = request(Method::POST, media::STREAMS, cased, read_request(0));
        assert_eq!(client.send(cased).await.status, 200);
    }
}

#[tokio::test]
async fn other_addresses_and_methods_are_problems() {
    let server = TestServer::start().await;
    for version in BOTH {
        let mut client = Client::connect(server.address(), version).await;
        for path in [
            "/",
            "/group_operation/",
            "/streams/dead",
            "/.well-known/mimi",
        ] {
            let answer = client.get(path).await;
            answer.assert_problem(404, "not_found");
            assert_eq!(answer.headers["cache-control"], "no-store");
        }
        for path in POSTS {
            client
                .get(path)
                .await
                .assert_problem(405, "method_not_allowed");
        }
        for path in ["/healthz", media::DS_DOMAIN] {
            client
                .post(path, "")
                .await
                .assert_problem(405, "method_not_allowed");
        }
    }
}
