//! The client on sockets of our own.

use super::super::exit;
use super::*;
use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const SHORT: Limits = Limits { silence_max: Duration::from_millis(400), call_max: Duration::from_millis(600) };

async fn listening() -> (TcpListener, Client) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, Client::limited(SHORT, None, &url, "token").unwrap())
}

/// As from a service that hangs: connections are made, and nothing is said.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_long_for_an_answer_that_does_not_begin() {
    let (_listener, client) = listening().await;
    let begun = crate::clock::monotonic();
    let error = client.stream("/v1/backup", "application/x-tar").await.unwrap_err().to_string();
    assert!(error.contains("can't be reached: it took too long"), "{error}");
    assert!(client.download("/export", &mut vec![]).await.is_err());
    assert!(client.get("/digest").await.is_err());
    assert!(Instant::elapsed(&begun) < Duration::from_secs(20));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_goes_on_coming_may_take_any_time_to_be_written() {
    const PARTS: usize = 12;
    let (listener, client) = listening().await;
    let dripping = tokio::spawn(async move {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 4096];
            assert!(stream.read(&mut asked).await.unwrap() > 0);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {PARTS}\r\nConnection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            for _ in 0..PARTS {
                tokio::time::sleep(Duration::from_millis(100)).await;
                // whoever reads all of it at once has had enough by then
                let _gone = stream.write_all(b"x").await;
            }
        }
    });
    let mut out = vec![];
    client.download("/export", &mut out).await.unwrap();
    assert_eq!(out.len(), PARTS);
    // what is read whole has an end
    assert!(client.post("/commands", Value::Null, None).await.is_err());
    dripping.await.unwrap();
}

#[test]
fn what_is_no_token_is_named_by_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("two.token");
    for (text, token) in [("abc\n", Some("abc")), ("abc\ndef\n", None), ("\n", None), ("", None)] {
        std::fs::write(&file, text).unwrap();
        match (read_token(&file), token) {
            (Ok(read), Some(token)) => assert_eq!(read, token),
            (Err(error), None) => {
                assert!(error.code() == exit::NOT_ALLOWED && error.to_string().contains("two.token"), "{error}");
            }
            (read, _) => panic!("{text:?}: {read:?}"),
        }
    }
}

#[test]
fn a_problem_reads_as_a_sentence() {
    let text =
        r#"{"type":"/problems/no-seat-available","title":"No seat","status":409,"detail":"all 2 seats are held"}"#;
    assert_eq!(Problem::of(StatusCode::CONFLICT, text).to_string(), "no-seat-available: all 2 seats are held");
    assert_eq!(Problem::of(StatusCode::BAD_GATEWAY, "upstream is away\nx").to_string(), "upstream is away (502)");
    assert_eq!(Problem::of(StatusCode::BAD_GATEWAY, "").to_string(), "the service answered 502");
}

#[test]
fn names_in_paths_are_encoded() {
    assert_eq!(encode("name:O'Neil/ä b"), "name:O%27Neil%2F%C3%A4%20b");
}
