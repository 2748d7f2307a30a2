//! How a connection on the straight way ends: too slow, half closed, gone, stopped. No place is lost by any of it.

use super::{Bounds, PATIENCE, Reader, Served, USUAL, next, pool, until_closed, written};
use crate::clock::monotonic;
use crate::http::fixture::asked;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const BODY: &str = r#"{"pool":"declared:office","target":{"user":"ada"},"intent":"required"}"#;

fn head(more: &str) -> String {
    format!(
        "POST /v1/tenants/acme/assignments HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer root\r\nX-Request-Id: r\r\nContent-Length: {}\r\n{more}",
        BODY.len()
    )
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

async fn send(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

/// One answer on a connection that goes on.
async fn one(stream: &mut TcpStream) -> super::Heard {
    let mut said = Vec::new();
    loop {
        if let Some((heard, bytes)) = next(&said) {
            assert_eq!(bytes, said.len(), "one answer");
            return heard;
        }
        let read = tokio::time::timeout(PATIENCE, stream.read_buf(&mut said)).await.expect("it is answered").unwrap();
        assert!(read > 0, "it is not closed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_too_slow_is_given_up_as_by_hyper() {
    let bounds = Bounds { head_max: seconds(0.5), request_max: seconds(0.5), ..USUAL };
    let (straight, long) = (Served::straight(bounds).await, Served::long(bounds).await);
    for served in [&straight, &long] {
        served.told(&written(&asked()[0], "r")).await;
    }
    for sent in ["".to_owned(), "POST /v1/ten".to_owned(), head(""), head("\r\n{"), pool("r")] {
        let begun = monotonic();
        let ours = straight.told(&sent).await;
        assert!(begun.elapsed() >= seconds(0.4), "{sent:?}: {ours}");
        let theirs = long.told(&sent).await;
        let read = |said: &str| next(said.as_bytes()).map(|(heard, bytes)| (heard, bytes == said.len()));
        assert_eq!(read(&ours), read(&theirs), "{sent:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_is_the_clients_delay_and_ends_the_connection() {
    let bounds = Bounds { request_max: seconds(0.5), ..USUAL };
    let (straight, long) = (Served::straight(bounds).await, Served::long(bounds).await);
    let calls = ["POST /v1/tenants/acme/assignments", "POST /v1/tenants/acme/commands", "PUT /v1/tenants/acme"];
    for served in [&straight, &long] {
        let mut stream = served.connect().await;
        send(&mut stream, &written(&asked()[0], "r")).await;
        one(&mut stream).await;
    }
    for (served, call) in [&straight, &long].into_iter().flat_map(|served| calls.map(|call| (served, call))) {
        let mut stream = served.connect().await;
        send(&mut stream, &head("\r\n{").replace("POST /v1/tenants/acme/assignments", call)).await;
        let said = until_closed(stream).await;
        let (heard, bytes) = next(said.as_bytes()).expect("an answer");
        assert_eq!(
            (heard.status, heard.header("connection"), bytes),
            (408, Some("close"), said.len()),
            "{call}: {said}"
        );
        assert!(heard.body.contains("/problems/request-timeout"), "{call}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_commands_that_stop_coming_are_given_up_before_the_call_is() {
    let served = Served::straight(Bounds { head_max: seconds(0.5), ..USUAL }).await;
    served.told(&written(&asked()[0], "r")).await;
    let sent = "POST /v1/tenants/acme/commands HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer root\r\nContent-Length: 99\r\n\r\n[";
    let said = served.told(sent).await;
    let (heard, bytes) = next(said.as_bytes()).expect("an answer");
    assert_eq!((heard.status, heard.header("connection"), bytes), (408, Some("close"), said.len()), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_refused_before_the_body_is_there() {
    let (straight, long) = (Served::straight(USUAL).await, Served::long(USUAL).await);
    let sent = head("\r\n{").replace("root", "nobody");
    let (ours, theirs) = (straight.told(&sent).await, long.told(&sent).await);
    let (heard, bytes) = next(ours.as_bytes()).unwrap();
    assert_eq!((heard.status, bytes), (401, ours.len()));
    assert_eq!(Some((heard, bytes)), next(theirs.as_bytes()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_closes_who_is_idle_and_lets_who_has_begun_finish() {
    let served = Served::straight(USUAL).await;
    let (mut idle, fresh, mut begun, mut half) =
        (served.connect().await, served.connect().await, served.connect().await, served.connect().await);
    for stream in [&mut idle, &mut begun, &mut half] {
        send(stream, &pool("r")).await;
        assert_eq!(one(stream).await.header("connection"), None);
    }
    send(&mut begun, &head("\r\n{")).await;
    send(&mut half, "GET /v1/tenants/acme/po").await;
    // hyper's by now
    let mut handed = served.connect().await;
    send(&mut handed, "GET /livez HTTP/1.1\r\nHost: here\r\n\r\n").await;
    one(&mut handed).await;
    // what was sent is read before it is told
    tokio::time::sleep(seconds(0.2)).await;
    let Served { stop, through, .. } = served;
    stop.send(()).unwrap();
    for stream in [idle, fresh, handed] {
        assert_eq!(until_closed(stream).await, "");
    }
    tokio::time::sleep(seconds(0.2)).await;
    assert!(!through.is_finished(), "two are under way");
    send(&mut begun, BODY.strip_prefix('{').unwrap()).await;
    send(&mut half, "ols/pool_0?at_least=0 HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer root\r\n\r\n").await;
    for stream in [begun, half] {
        let said = until_closed(stream).await;
        let (heard, bytes) = next(said.as_bytes()).expect("an answer");
        assert_eq!((heard.status, heard.header("connection"), bytes), (404, Some("close"), said.len()));
    }
    tokio::time::timeout(PATIENCE, through).await.expect("all are through").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_in_the_middle_leaves_the_place() {
    let served = Served::straight(Bounds { connections_max: 1, ..USUAL }).await;
    let all = format!("{}\r\n{BODY}", head(""));
    for cut in [0, 1, 30, all.len() - BODY.len(), all.len() - 1, all.len()] {
        // gone
        let mut stream = served.connect().await;
        send(&mut stream, all.get(..cut).unwrap()).await;
        drop(stream);
        // says that no more comes; what is whole is answered
        let mut stream = served.connect().await;
        send(&mut stream, all.get(..cut).unwrap()).await;
        stream.shutdown().await.unwrap();
        let said = until_closed(stream).await;
        let status = next(said.as_bytes()).map(|(heard, _)| heard.status);
        // who asks is judged before the body is missed
        let wanted = (cut >= all.len() - BODY.len()).then_some(404);
        assert_eq!(status, wanted, "{cut}: {said}");
    }
    let mut stream = served.connect().await;
    send(&mut stream, &pool("r")).await;
    assert_eq!(one(&mut stream).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_that_no_more_comes_hears_what_became_of_the_call() {
    let mut told = Vec::new();
    for served in [Served::straight(USUAL).await, Served::long(USUAL).await] {
        let mut statuses = Vec::new();
        for asked in asked().iter().take(5) {
            let mut stream = served.connect().await;
            send(&mut stream, &written(asked, "r")).await;
            stream.shutdown().await.unwrap();
            let said = until_closed(stream).await;
            let (heard, bytes) = next(said.as_bytes()).unwrap_or_else(|| panic!("no answer to {}", asked.path));
            assert_eq!(bytes, said.len());
            statuses.push(heard.status);
        }
        assert_eq!(statuses.first(), Some(&201), "{statuses:?}");
        told.push(statuses);
    }
    assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_read_while_answers_are_not_and_who_reads_none_is_given_up() {
    let bounds = Bounds { connections_max: 1, head_max: seconds(1.0), ..USUAL };
    for served in [Served::straight(bounds).await, Served::long(bounds).await] {
        let mut stream = served.connect().await;
        let many = pool("r").repeat(1000);
        let mut sent = 0_usize;
        // the system's own buffers take some megabytes, both ways
        let gave_up = async {
            while stream.write_all(many.as_bytes()).await.is_ok() {
                sent += many.len();
                assert!(sent < 1 << 30, "all of it was read");
            }
        };
        tokio::time::timeout(PATIENCE, gave_up).await.expect("it is given up");
        let mut next = served.connect().await;
        send(&mut next, &pool("r")).await;
        assert_eq!(one(&mut next).await.status, 404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_in_one_go_is_answered_in_order() {
    let served = Served::straight(USUAL).await;
    let mut stream = served.connect().await;
    let all: String = (0..2000).map(|at| pool(&format!("r{at}"))).collect();
    send(&mut stream, &all).await;
    let (read, _write) = stream.into_split();
    let mut reader = Reader::of(read);
    for at in 0..2000 {
        assert_eq!(reader.next().await.expect("an answer").id(), format!("r{at}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_asked_for_more_when_it_stops_hears_whole_answers() {
    let served = Served::straight(USUAL).await;
    let (read, mut write) = served.connect().await.into_split();
    let (stop, through) = (served.stop, served.through);
    let asking = tokio::spawn(async move {
        let many = pool("r").repeat(1000);
        // more than it can be answered before it stops
        while write.write_all(many.as_bytes()).await.is_ok() {}
    });
    let mut reader = Reader::of(read);
    let mut last = reader.next().await.expect("an answer");
    // the system holds as many as it takes
    tokio::time::sleep(seconds(0.5)).await;
    stop.send(()).unwrap();
    while let Some(heard) = reader.next().await {
        last = heard;
    }
    assert_eq!((last.status, last.header("connection")), (404, Some("close")), "none is lost on its way");
    drop(reader);
    asking.await.unwrap();
    tokio::time::timeout(PATIENCE, through).await.expect("it is through").unwrap();
}
