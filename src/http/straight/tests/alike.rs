//! The same bytes to a service with the straight way and to one through hyper alone: the same answers with the same headers, and
//! the connection stays open or is closed alike. Where the two would disagree about where a request ends, this fails.

use super::super::plain::{self, Look};
use super::{BODY_BYTES_MAX, Heard, POOL, Reader, Served, USUAL, pool, written};
use crate::http::fixture::{Asked, asked};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

/// Stands behind whatever is sent: whether it is answered says whether the connection is open.
const LAST: &str = "last";
/// Who hears nothing for so long has asked for something that is not whole, and says that nothing more comes.
const SILENCE: Duration = Duration::from_millis(700);

/// What both read at once, the last call with it.
const ONE_READ: usize = 3900;

/// What one service made of it.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    answers: Vec<Heard>,
    is_open: bool,
}

/// Sends the pieces with a pause between them. The last call goes with the last one: of a body that it need not read, hyper reads
/// what is there.
async fn told(address: SocketAddr, mut pieces: Vec<Vec<u8>>) -> Told {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (read, mut write) = stream.into_split();
    pieces.last_mut().unwrap().extend_from_slice(pool(LAST).as_bytes());
    let mut sending = Some(tokio::spawn(async move {
        for (at, piece) in pieces.iter().enumerate() {
            if at > 0 {
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
            // who is refused may hear of it while it still writes
            write.write_all(piece).await.ok();
        }
        write
    }));
    let (mut reader, mut told) = (Reader::of(read), Told { answers: vec![], is_open: false });
    let mut sent = None;
    while !told.is_open {
        match tokio::time::timeout(if sent.is_some() { super::PATIENCE } else { SILENCE }, reader.next()).await {
            Ok(Some(heard)) => {
                told.is_open = heard.id() == LAST && heard.header("connection") != Some("close");
                told.answers.push(heard);
            }
            Ok(None) => break,
            Err(_) => {
                assert!(sent.is_none(), "it is not closed: {told:?}");
                if let Some(sending) = sending.take_if(|sending| sending.is_finished()) {
                    sent.insert(sending.await.unwrap()).shutdown().await.ok();
                }
            }
        }
    }
    told
}

/// Hyper does not read a body for which it has said no, but takes what it has already; how much that is depends on how it was read,
/// and without the rest it closes. No byte is read as something else by either.
fn differ_in_what_was_read(one: &Told, other: &Told) -> bool {
    let is_cut = |short: &Told, long: &Told| {
        !short.is_open && !short.answers.is_empty() && long.answers.starts_with(&short.answers)
    };
    is_cut(one, other) || is_cut(other, one)
}

struct Pair {
    straight: Served,
    long: Served,
}

impl Pair {
    async fn new() -> Self {
        Self { straight: Served::straight(USUAL).await, long: Served::long(USUAL).await }
    }

    #[track_caller]
    fn alike(&self, pieces: Vec<Vec<u8>>) -> impl Future<Output = Told> {
        let caller = std::panic::Location::caller();
        let addresses = (self.straight.address, self.long.address);
        async move {
            let (ours, theirs) = tokio::join!(told(addresses.0, pieces.clone()), told(addresses.1, pieces.clone()));
            let sent: Vec<_> = pieces.iter().map(|piece| String::from_utf8_lossy(piece)).collect();
            let is_long = sent.len() == 1 && sent.iter().any(|piece| piece.len() > ONE_READ);
            if !(is_long && differ_in_what_was_read(&ours, &theirs)) {
                assert_eq!(ours, theirs, "{caller}: {sent:?}");
            }
            ours
        }
    }

    /// With an organization of one pool in it.
    async fn furnished() -> Self {
        let pair = Self::new().await;
        for asked in asked().iter().take(4) {
            pair.alike(vec![written(asked, "r").into_bytes()]).await;
        }
        pair
    }
}

fn id_of(asked: &Asked) -> &'static str {
    if asked.method == "HEAD" { "head" } else { "r" }
}

fn in_pieces(bytes: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % bytes.len()).collect();
    cuts.sort_unstable();
    let ends = cuts.iter().copied().chain([bytes.len()]);
    ends.scan(0, |from, to| Some(bytes[std::mem::replace(from, to)..to].to_vec()))
        .filter(|piece| !piece.is_empty())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_every_kind_are_answered_alike_on_a_connection_each() {
    let pair = Pair::new().await;
    let mut statuses = BTreeSet::new();
    let mut plain = 0;
    for asked in asked() {
        let text = written(&asked, id_of(&asked)).into_bytes();
        plain += usize::from(matches!(plain::look(&text, BODY_BYTES_MAX), Look::Plain(_)));
        let told = pair.alike(vec![text]).await;
        statuses.extend(told.answers.iter().map(|heard| heard.status));
    }
    assert_eq!(statuses.into_iter().collect::<Vec<_>>(), [200, 201, 400, 401, 404, 405, 409, 413, 415, 422]);
    assert_eq!(plain, 21, "so many of these go straight");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_every_kind_are_answered_alike_in_one_go() {
    let pair = Pair::furnished().await;
    // those of which hyper closes the connection come last, here or never
    let is_open =
        |asked: &Asked| asked.body.len() < 1000 && asked.headers.iter().all(|(name, _)| *name != "content-length");
    let all: Vec<_> = asked().into_iter().skip(4).filter(is_open).collect();
    for count in [1, 2, 3, all.len()] {
        for some in all.chunks(count) {
            let text: String = some.iter().map(|asked| written(asked, id_of(asked))).collect();
            let told = pair.alike(vec![text.into_bytes()]).await;
            assert!(told.is_open);
            assert_eq!(told.answers.len(), some.len() + 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_request_is_cut_into_pieces_makes_no_difference() {
    let pair = Pair::furnished().await;
    let mut runner = TestRunner::default();
    let cuts = prop::collection::vec(any::<usize>(), 1..6);
    // hyper closes where it need not read a body that is not there yet; those that it reads first
    let reads = |asked: &&Asked| {
        let headers = &asked.headers;
        headers.iter().any(|(name, value)| *name == "authorization" && value == "Bearer root")
            && asked.path.starts_with("/v1/tenants/acme/")
            && (asked.body.is_empty() || ["assignments", "installs"].iter().any(|call| asked.path.ends_with(call)))
            && asked.body.len() < 1000
            && headers
                .iter()
                .all(|(name, value)| !["content-length", "if-match"].contains(name) && value != "ä" && value != "*")
    };
    let all = asked();
    for asked in all.iter().skip(4).filter(reads) {
        for count in 1..=2 {
            let text = written(asked, id_of(asked)).repeat(count).into_bytes();
            let cuts = cuts.new_tree(&mut runner).unwrap().current();
            let told = pair.alike(in_pieces(&text, &cuts)).await;
            assert!(told.is_open, "{cuts:?}");
            assert_eq!(told.answers.len(), count + 1);
        }
    }
    // byte by byte
    let text = written(&all[4], "r").into_bytes();
    pair.alike(text.chunks(1).map(<[u8]>::to_vec).collect()).await;
}

const ASSIGN: &str = "POST /v1/tenants/acme/assignments HTTP/1.1";

fn line() -> impl Strategy<Value = &'static str> {
    let odd = vec![
        "POST  /v1/tenants/acme/assignments HTTP/1.1",
        "POST /v1/tenants/acme/assignments  HTTP/1.1",
        "POST\t/v1/tenants/acme/assignments HTTP/1.1",
        "post /v1/tenants/acme/assignments HTTP/1.1",
        "PATCH /v1/tenants/acme/assignments HTTP/1.1",
        "G\0ET /v1/tenants/acme/pools/pool_0 HTTP/1.1",
        " POST /v1/tenants/acme/assignments HTTP/1.1",
        "\r\nPOST /v1/tenants/acme/assignments HTTP/1.1",
        "POST http://here/v1/tenants/acme/assignments HTTP/1.1",
        "POST /v1/tenants/acme/assignments?x=1 HTTP/1.1",
        "POST /v1/tenants/acme/assignments#x HTTP/1.1",
        "POST /v1/tenants/acm%65/assignments HTTP/1.1",
        "POST /v1/tenants/ä/assignments HTTP/1.1",
        "POST /v1/tenants/a\"b/assignments HTTP/1.1",
        "POST /v1/tenants/{a}/assignments HTTP/1.1",
        "POST /v1/tenants/acme/../acme/assignments HTTP/1.1",
        "POST /v1/tenants/acme/assignments",
        "POST /v1/tenants/acme/assignments HTTP/1.0",
        "POST /v1/tenants/acme/assignments HTTP/1.2",
        "POST /v1/tenants/acme/assignments HTTP/2.0",
        "POST /v1/tenants/acme/assignments http/1.1",
        "POST /v1/tenants/acme/assignments HTTP/1.1 ",
        "GET /v1/tenants/acme/pools/pool_0?at_least=0 HTTP/1.1",
        "GET /v1/tenants/acme/pools/a;b=c,d HTTP/1.1",
        "GET /livez HTTP/1.1",
        "CONNECT here:1 HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "PRI * HTTP/2.0",
        "",
    ];
    prop_oneof![
        8 => Just(ASSIGN),
        3 => Just("GET /v1/tenants/acme/pools/pool_0 HTTP/1.1"),
        3 => select(odd),
    ]
}

fn header() -> impl Strategy<Value = String> {
    let odd = vec![
        "Connection: close",
        "Connection: keep-alive",
        "connection: Keep-Alive",
        "Connection: keep-alive, x",
        "Connection: upgrade",
        "Connection: x\r\nConnection: close",
        "Proxy-Connection: close",
        "Keep-Alive: timeout=5",
        "Expect: 100-continue",
        "Expect: x",
        "Upgrade: h2c",
        "TE: trailers",
        "Trailer: x",
        "Transfer-Encoding: chunked",
        "TRANSFER-ENCODING: Chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding:\tchunked",
        "Transfer-Encoding:",
        "Transfer_Encoding: chunked",
        "Transfer-Encoding\0: chunked",
        "Host: y",
        "host:z",
        "Host: me@y",
        "Host: y z",
        "Host: y:1:2",
        "Host:",
        "Content-Length: 0",
        "Content-Length: 5",
        "Content-Length: 5, 5",
        "Content-Length: +5",
        "Content-Length:  05",
        "Content-Length: 5 ",
        "Content-Length: 5 5",
        "Content-Length: -1",
        "Content-Length: 0x5",
        "Content-Length: 1e1",
        "Content-Length:",
        "Content-Length : 5",
        "Content-Length: 18446744073709551616",
        "Content-Length: 00000000000000000000005",
        "Content-Length: ５",
        "Content_Length: 5",
        "X-Fold: a\r\n b",
        "X-Nul: a\0b",
        "X-Return: a\rb",
        "X-Feed: a\nContent-Length: 0",
        "X-High: é",
        "X-Delete: a\u{7f}b",
        " X-Space: a",
        "X-Space : a",
        "X-Empty:",
        ":",
        "X",
        "X-Request-Id: r-1",
        "X-Request-Id: not sane\r\nx-request-id: r-2",
        "If-Match: x",
        "If-Match: \"1\"",
        "If-None-Match: \"0\"",
        "Idempotency-Key: k",
        "IDEMPOTENCY-KEY:    \t k2   ",
        "Idempotency-Key:",
        "Content-Type: text/plain",
        "Content-Type: application/json; charset=utf-8",
        "CONTENT-TYPE: APPLICATION/JSON",
        "Authorization: Basic x",
        "AUTHORIZATION: bearer root",
    ];
    let many = |count: usize| (0..count).map(|at| format!("X-{at}: {at}")).collect::<Vec<_>>().join("\r\n");
    let long = |bytes: usize| format!("X-Long: {}", "a".repeat(bytes));
    prop_oneof![
        12 => select(odd).prop_map(str::to_owned),
        1 => select(vec![3000, 9000, 17_000, 70_000]).prop_map(long),
        1 => select(vec![20, 27, 40, 90, 110]).prop_map(many),
    ]
}

/// A request, mostly with something odd about it.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let json = r#"{"pool":"declared:office","target":{"user":"ada"},"intent":"required"}"#.to_owned();
    let hidden = format!("{POOL}X-Request-Id: hidden\r\n\r\n");
    let chunked = format!("{:x}\r\n{json}\r\n0\r\n\r\n", json.len());
    let bodies = prop_oneof![
        6 => Just(json.clone()),
        1 => Just(chunked.clone()),
        1 => Just(format!("{chunked}{hidden}")),
        1 => Just(format!("{json}{hidden}")),
        1 => Just(format!("0\r\n\r\n{hidden}")),
        1 => Just(format!("{{\"pool\":\"{}\"}}", "x".repeat(2500))),
        1 => Just(String::new()),
    ];
    let lengths = prop_oneof![8 => Just(Some(0)), 1 => Just(None), 1 => Just(Some(7)), 1 => Just(Some(-7))];
    let ends = prop_oneof![12 => Just("\r\n"), 1 => Just("\n"), 1 => Just("\r\r\n")];
    let oddities = prop_oneof![3 => Just(0), 4 => Just(1), 1 => Just(2)]
        .prop_flat_map(|count| prop::collection::vec((any::<prop::sample::Index>(), header()), count));
    (line(), bodies, lengths, ends, oddities).prop_map(|(line, body, length, end, oddities)| {
        let mut headers = vec!["Host: here".to_owned(), "Authorization: Bearer root".to_owned()];
        let has_body = !line.starts_with("GET");
        if has_body {
            headers.push("Content-Type: application/json".to_owned());
        }
        if let Some(more) = length.filter(|_| has_body) {
            headers.push(format!("content-length: {}", body.len().saturating_add_signed(more)));
        }
        for (place, odd) in oddities {
            headers.insert(place.index(headers.len() + 1), odd);
        }
        let head: String = std::iter::once(line.to_owned()).chain(headers).map(|line| line + end).collect();
        format!("{head}{end}{}", if has_body { &body } else { "" }).into_bytes()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_odd_about_a_request_both_see_it_end_in_the_same_place() {
    let pair = Pair::furnished().await;
    let mut runner = TestRunner::default();
    let requests = (request(), prop::collection::vec(request(), 0..3));
    let (mut plain, mut open, cases) = (0, 0, 6 * runner.config().cases as usize);
    for _ in 0..cases {
        let (first, rest) = requests.new_tree(&mut runner).unwrap().current();
        plain += usize::from(matches!(plain::look(&first, BODY_BYTES_MAX), Look::Plain(_)));
        // of what is long nothing comes behind that would be judged by one of them alone
        let all = [first.clone(), rest.concat()].concat();
        let told = pair.alike(vec![if all.len() > ONE_READ { first } else { all }]).await;
        open += usize::from(told.is_open);
    }
    // it would show nothing if nothing went straight, or all did
    for count in [plain, open] {
        assert!((cases / 20..cases * 9 / 10).contains(&count), "{plain} plain, {open} open of {cases}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_life_of_straight_calls_and_others_on_one_connection() {
    let pair = Pair::furnished().await;
    let livez = "GET /livez HTTP/1.1\r\nHost: here\r\nX-Request-Id: livez\r\n\r\n";
    let assign = |at: usize| {
        let body =
            format!(r#"{{"pool":"declared:office","target":{{"user":"ada"}},"intent":"required","reason":"{at}"}}"#);
        format!(
            "{ASSIGN}\r\nHost: here\r\nAuthorization: Bearer root\r\nX-Request-Id: r{at}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    // the second half is hyper's, all but the first call of it
    let call = |at: usize| match at {
        1500 => livez.to_owned(),
        at if at > 1500 && at % 7 == 0 => livez.to_owned(),
        at if at % 3 == 0 => pool(&format!("r{at}")),
        at => assign(at),
    };
    let calls: Vec<String> = (0..3000).map(call).collect();
    let text = calls.concat().into_bytes();
    // what is sent in one go is as long as a few requests, or a part of one
    let pieces = text.chunks(1777).map(<[u8]>::to_vec).collect();
    let told = pair.alike(pieces).await;
    assert_eq!(told.answers.len(), 3001);
    for (at, heard) in told.answers.iter().take(3000).enumerate() {
        assert!(["livez".to_owned(), format!("r{at}")].contains(&heard.id().to_owned()), "{at}: {heard:?}");
        assert!([200, 201].contains(&heard.status), "{at}: {heard:?}");
    }
}
