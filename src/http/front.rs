//! The first look at a request. Calls that come by the thousand go straight to what answers them, most without hyper
//! (`straight/`); all others go through the router, which knows every call and says what is wrong with a path or a method, and
//! takes some 12,000 instructions for it. All stand in the same frame. Not here: what a call does.

use super::Service;
use super::auth::{self, Caller};
use super::door::Door;
use super::frame::Frame;
use super::inputs;
use super::listener::{Answer, Answers, Connection, routed};
use super::problem::Problem;
use super::reply::Reply;
use super::request_id;
use super::routes::pools;
use super::said::{self, Said};
use super::stop::Stop;
use super::straight::{self, Opened, Plain};
use super::wire::kind::Kind;
use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderValue, Method, Request};
use axum::response::IntoResponse as _;
use hyper::body::Incoming;
use std::error::Error;
use std::future::ready;
use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio_util::task::AbortOnDropHandle;

/// Everything the service answers. Clones are one.
#[derive(Clone)]
pub struct Front(Arc<Inside>);

pub(super) struct Inside {
    service: Arc<Service>,
    frame: Frame,
    router: Router,
    /// On which connection the last request came.
    last: AtomicU64,
}

impl Answers for Front {
    fn answer(self, request: Request<Incoming>, on: Connection) -> impl Future<Output = Answer> + Send + 'static {
        self.framed(request, on)
    }

    async fn straight(&self, opened: Opened, on: &Connection, stop: &mut Stop) -> Option<Opened> {
        straight::answer(&self.0, opened, on, stop).await
    }
}

impl Front {
    pub(super) fn new(service: Arc<Service>, frame: Frame, router: Router) -> Self {
        Self(Arc::new(Inside { service, frame, router, last: AtomicU64::new(0) }))
    }

    async fn framed<B>(self, request: Request<B>, on: Connection) -> Answer
    where
        B: HttpBody<Data = Bytes> + Unpin + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        self.0.heard_on(on.number);
        let frame = &self.0.frame;
        let id = frame.id_of(request.headers().get(request_id::HEADER).map(HeaderValue::as_bytes));
        // where it is it stays: what stands around it takes a pointer
        let answer = pin!(self.0.answer(request.map(|body| on.arrival.of(body)), &on));
        frame.around(id, &on.arrival, &on.alarm, answer).await
    }
}

impl Inside {
    pub(super) fn frame(&self) -> &Frame {
        &self.frame
    }

    pub(super) fn body_bytes_max(&self) -> usize {
        self.service.limits.body_bytes_max
    }

    pub(super) fn knows(&self, authorization: Option<&[u8]>) -> bool {
        auth::is_known(authorization, &self.service)
    }

    /// A request came on this connection.
    pub(super) fn heard_on(&self, number: u64) {
        // most come between two of somebody else, and to look at what all write costs less than to write it
        if self.last.load(Ordering::Relaxed) != number {
            self.last.store(number, Ordering::Relaxed);
            self.service.ledger.in_company();
        }
    }

    async fn answer<B>(&self, request: Request<B>, on: &Connection) -> Answer
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let (parts, body) = request.into_parts();
        if let Some(problem) = said::unclear(parts.version, &parts.headers) {
            return Ok(problem.into_response());
        }
        match call(&parts.method, parts.uri.path(), parts.uri.query().is_some()) {
            Some((call, tenant)) => {
                let said = Said::of(&parts.headers);
                let body = inputs::Body::of(&parts.headers, body, &self.service);
                Ok(self.answer_straight(call, tenant, &said, body, on.peer).await.into_response())
            }
            None => self.answer_elsewhere(Request::from_parts(parts, Body::new(body)), on).await,
        }
    }

    /// By the router, away from the connection's thread: it may take long, and others wait there. Ends with who waits for it.
    async fn answer_elsewhere(&self, request: Request<Body>, on: &Connection) -> Answer {
        let answer = request_id::carried(routed(&self.router, request, on.peer));
        match AbortOnDropHandle::new(on.home.spawn(answer)).await {
            Ok(answer) => answer,
            // said by whoever stands around it
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            Err(error) => Ok(Problem::internal(&error).into_response()),
        }
    }

    /// A request that is whole.
    pub(super) fn answer_plain(
        &self,
        plain: &Plain<'_>,
        peer: SocketAddr,
    ) -> impl Future<Output = Result<Reply, Problem>> {
        let Plain { call, tenant, said, body, .. } = plain;
        let body = ready(inputs::said_to_be_json(said, *body));
        self.answer_straight(*call, tenant, said, body, peer)
    }

    /// `body` is not read before it is known who asks.
    async fn answer_straight<B: AsRef<[u8]>>(
        &self,
        call: Call<'_>,
        tenant: &str,
        said: &Said<'_>,
        body: impl Future<Output = Result<B, Problem>>,
        peer: SocketAddr,
    ) -> Result<Reply, Problem> {
        let caller = Caller::of(&self.service, said.authorization, peer.ip(), tenant)?;
        let kind = match call {
            Call::Command(kind) => kind,
            Call::Pool(pool) => return pools::pool_now(&caller, pool),
        };
        let door = Door::of(caller, said)?;
        let body = body.await?;
        door.judged(kind, [], body.as_ref()).await
    }
}

/// What is answered without the router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call<'u> {
    /// One that has nothing in its path.
    Command(Kind),
    /// As it is now.
    Pool(&'u str),
}

/// Which of them is asked for, and of which tenant.
pub(super) fn call<'u>(method: &Method, path: &'u str, has_query: bool) -> Option<(Call<'u>, &'u str)> {
    let (tenant, rest) = path.strip_prefix("/v1/tenants/")?.split_once('/')?;
    // what is escaped, and what is asked besides, is for the router to read
    if has_query || tenant.is_empty() || path.contains('%') {
        return None;
    }
    let call = if *method == Method::POST {
        Call::Command(match rest {
            "assignments" => Kind::Assign,
            "installs" => Kind::Install,
            "uninstalls" => Kind::Uninstall,
            _ => return None,
        })
    } else if *method == Method::GET {
        Call::Pool(rest.strip_prefix("pools/").filter(|pool| !pool.is_empty() && !pool.contains('/'))?)
    } else {
        return None;
    };
    Some((call, tenant))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::alarm::Alarm;
    use crate::http::arrival::Arrival;
    use crate::http::fixture::{Asked, asked, service};
    use axum::body;
    use axum::http::{Uri, header};
    use axum::response::Response;
    use axum::routing::get;
    use futures::stream;
    use std::convert::Infallible;
    use std::task::Poll;
    use std::time::Duration;
    use tokio::sync::mpsc;

    fn front(dir: &std::path::Path) -> Front {
        crate::http::front(service(dir, 2000))
    }

    fn connection(number: u64) -> Connection {
        let (peer, home) = (SocketAddr::from(([127, 0, 0, 1], 9)), tokio::runtime::Handle::current());
        let (alarm, arrival) = (Alarm::default(), Arrival::default());
        Connection { peer, number, alarm, arrival, home, head_max: Duration::from_secs(60) }
    }

    /// What was answered, as text. The router says how long a body is; without it, who writes it to the connection does.
    async fn told(response: Response) -> String {
        let (parts, body) = response.into_parts();
        let headers = parts.headers.iter().filter(|(name, _)| *name != header::CONTENT_LENGTH);
        let mut headers: Vec<_> = headers.map(|(name, value)| format!("{name}: {value:?}")).collect();
        headers.sort();
        let body = body::to_bytes(body, 1 << 20).await.unwrap();
        format!("{} {headers:?} {}", parts.status, String::from_utf8_lossy(&body))
    }

    fn request(method: &str, path: &str, headers: &[(&str, &str)], sent: &str) -> Request<body::Body> {
        let request = Request::builder().method(method).uri(path).header("host", "here").header("x-request-id", "r-1");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(body::Body::from(sent.to_owned())).unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_goes_straight_is_answered_as_the_router_would() {
        let (straight, long) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (straight, long) = (front(straight.path()), front(long.path()));
        let on = connection(1);
        let mut statuses = std::collections::BTreeSet::new();
        for Asked { method, path, headers, body } in asked() {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let Ok(ours) = straight.clone().framed(request(method, path, &headers, &body), on.clone()).await;
            let Inside { frame, router, .. } = &*long.0;
            let asked = request(method, path, &headers, &body);
            let id = frame.id_of(Said::of(asked.headers()).request_id);
            let answer = pin!(routed(router, asked, on.peer));
            let Ok(theirs) = frame.around(id, &Arrival::default(), &on.alarm, answer).await;
            statuses.insert(ours.status().as_u16());
            let ours = told(ours).await;
            assert_eq!(ours, told(theirs).await, "{method} {path} {headers:?} {body}");
        }
        assert_eq!(statuses.into_iter().collect::<Vec<_>>(), [200, 201, 400, 401, 404, 405, 409, 413, 415, 422]);
    }

    #[tokio::test]
    async fn a_head_that_somebody_may_read_otherwise_is_refused_whatever_it_asks() {
        let dir = tempfile::tempdir().unwrap();
        let front = front(dir.path());
        let paths = ["/v1/tenants/acme/pools/pool_0", "/v1/tenants/acme/users", "/livez", "/nothing"];
        for (path, header) in paths.into_iter().flat_map(|path| [(path, "host"), (path, "authorization")]) {
            let twice = request("GET", path, &[(header, "a"), (header, "b")], "");
            let Ok(refused) = front.clone().framed(twice, connection(1)).await;
            assert_eq!(refused.headers().get(request_id::HEADER).unwrap(), "r-1");
            let told = told(refused).await;
            assert!(told.starts_with("400") && told.contains(&format!("the header {header} was sent")), "{told}");
        }
    }

    /// A call that announces a mebibyte and sends one byte of it; who waits for more is told.
    fn stalled(path: &str, token: &str, waited: &mpsc::Sender<()>) -> Request<body::Body> {
        let headers = [("authorization", token), ("content-length", "1048576")];
        let (parts, _) = request("POST", path, &headers, "").into_parts();
        let (waited, mut begun) = (waited.clone(), false);
        let sent = stream::poll_fn(move |_| {
            if std::mem::replace(&mut begun, true) {
                waited.try_send(()).ok();
                return Poll::Pending;
            }
            Poll::Ready(Some(Ok::<_, Infallible>(Bytes::from_static(b"["))))
        });
        Request::from_parts(parts, body::Body::from_stream(sent))
    }

    /// The id of a new token, and how its holder names it.
    async fn issued(front: &Front, role: &str) -> (String, String) {
        let headers = [("authorization", "Bearer root"), ("content-type", "application/json")];
        let asked = format!(r#"{{"name":"x","role":"{role}"}}"#);
        let asked = request("POST", "/v1/tenants/acme/tokens", &headers, &asked);
        let Ok(answer) = front.clone().framed(asked, connection(1)).await;
        let body = body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        let told: serde_json::Value = serde_json::from_slice(&body).unwrap();
        (told["token_id"].as_str().unwrap().to_owned(), format!("Bearer {}", told["token"].as_str().unwrap()))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_announces_many_commands_and_sends_none_takes_no_room_from_others() {
        let dir = tempfile::tempdir().unwrap();
        let front = front(dir.path());
        let ask = async |asked: Request<body::Body>| {
            let answered = front.clone().framed(asked, connection(1));
            let Ok(answer) = tokio::time::timeout(Duration::from_secs(30), answered).await.expect("it is answered");
            answer
        };
        let headers = [("authorization", "Bearer root"), ("content-type", "application/json")];
        ask(request("PUT", "/v1/tenants/acme", &headers, r#"{"name":"Acme"}"#)).await;
        let (_, auditor) = issued(&front, "auditor").await;
        let (wait, mut waited) = mpsc::channel(200);
        let refused = ask(stalled("/v1/tenants/acme/commands", &auditor, &wait)).await;
        assert_eq!(refused.status().as_u16(), 403, "asked before the body");
        // what they announce is more than there is room for
        for number in 2..150 {
            let asked = stalled("/v1/tenants/acme/simulations", &auditor, &wait);
            tokio::spawn(front.clone().framed(asked, connection(number)));
        }
        for _ in 0..120 {
            waited.recv().await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        let answer = ask(request("POST", "/v1/tenants/acme/commands", &headers, "[]")).await;
        assert_eq!(answer.status().as_u16(), 200);
    }

    /// A service with a tenant, and what root asks of it.
    async fn acme(dir: &std::path::Path) -> (Front, impl AsyncFn(&str, &str) -> u16) {
        let front = front(dir);
        let asking = front.clone();
        let asked = async move |method: &str, below: &str| {
            let headers = [("authorization", "Bearer root"), ("content-type", "application/json")];
            let body = if method == "PUT" { r#"{"name":"Acme"}"# } else { "" };
            let asked = request(method, &format!("/v1/tenants/acme{below}"), &headers, body);
            let Ok(answer) = asking.clone().framed(asked, connection(1)).await;
            answer.status().as_u16()
        };
        assert_eq!(asked("PUT", "").await, 201);
        (front, asked)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_token_that_is_revoked_while_a_body_comes_is_good_for_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (front, asked) = acme(dir.path()).await;
        let ledger = front.0.service.ledger.clone();
        let tenant = ledger.tenant("acme").unwrap();
        let list = r#"[{"type":"put_user","user":"ada","user_name":"ada"}]"#;
        for (method, path, whole) in [
            ("POST", "assignments", r#"{"pool":"declared:office","target":{"user":"ada"},"intent":"required"}"#),
            ("PUT", "users/ada", r#"{"user_name":"ada"}"#),
            ("POST", "inventory", r#"{"complete":false,"items":[]}"#),
            ("POST", "tokens", r#"{"name":"y","role":"admin"}"#),
            ("POST", "commands", list),
            ("POST", "simulations", list),
        ] {
            let (id, token) = issued(&front, "admin").await;
            let (send, mut pieces) = mpsc::channel::<Result<Bytes, Infallible>>(1);
            let (begin, mut begun) = mpsc::channel(1);
            let sent = stream::poll_fn(move |context| {
                begin.try_send(()).ok();
                pieces.poll_recv(context)
            });
            let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
            let (parts, _) = request(method, &format!("/v1/tenants/acme/{path}"), &headers, "").into_parts();
            let slow = Request::from_parts(parts, body::Body::from_stream(sent));
            let answer = tokio::spawn(front.clone().framed(slow, connection(2)));
            begun.recv().await.unwrap();
            assert_eq!(asked("DELETE", &format!("/tokens/{id}")).await, 200);
            let head = ledger.head(tenant).unwrap();
            send.send(Ok(Bytes::from_static(whole.as_bytes()))).await.unwrap();
            drop(send);
            let Ok(answer) = answer.await.unwrap();
            assert_eq!((answer.status().as_u16(), ledger.head(tenant).unwrap()), (401, head), "{path}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_token_that_is_revoked_leaves_the_rest_of_its_commands_undone() {
        let dir = tempfile::tempdir().unwrap();
        let (front, asked) = acme(dir.path()).await;
        let ledger = front.0.service.ledger.clone();
        let tenant = ledger.tenant("acme").unwrap();
        for round in 0..20_u32 {
            let (id, token) = issued(&front, "admin").await;
            let line = |n: u32| format!(r#"{{"type":"put_user","user":"u{round}-{n}","user_name":"u{round}-{n}"}}"#);
            let lines = format!("[{}]", (0..10_000).map(line).collect::<Vec<_>>().join(","));
            let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
            let many = request("POST", "/v1/tenants/acme/commands", &headers, &lines);
            let head = ledger.head(tenant).unwrap();
            let answer = tokio::spawn(front.clone().framed(many, connection(2)));
            while ledger.head(tenant).unwrap() == head {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            assert_eq!(asked("DELETE", &format!("/tokens/{id}")).await, 200);
            let Ok(answer) = answer.await.unwrap();
            let told = body::to_bytes(answer.into_body(), 1 << 24).await.unwrap();
            let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
            let results = told["results"].as_array().unwrap();
            let done = results.iter().take_while(|result| result["status"] == "done").count();
            assert!(done > 0 && results.len() == 10_000, "{done}");
            assert!(results.iter().skip(done).all(|result| result["problem"]["type"] == "/problems/unauthorized"));
            if done < results.len() {
                return;
            }
            // all of it had been judged before the token was revoked
        }
        panic!("no list was long enough");
    }

    #[tokio::test]
    async fn who_asks_between_the_requests_of_somebody_else_keeps_company() {
        let dir = tempfile::tempdir().unwrap();
        let front = front(dir.path());
        let ledger = front.0.service.ledger.clone();
        let asked_on = async |number| {
            let asked = request("GET", "/v1/tenants/acme/pools/pool_0", &[], "");
            let Ok(_) = front.clone().framed(asked, connection(number)).await;
        };
        asked_on(1).await;
        let before = ledger.company_until_micros();
        std::thread::sleep(Duration::from_millis(1));
        asked_on(1).await;
        assert_eq!(ledger.company_until_micros(), before, "nobody else was there");
        asked_on(2).await;
        assert!(ledger.company_until_micros() > before);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_answered_elsewhere_breaks_and_ends_as_it_would_here() {
        let dir = tempfile::tempdir().unwrap();
        let (begin, mut begun) = mpsc::channel::<()>(1);
        let broken = get(|| async {
            if true {
                panic!("as it is meant to")
            }
        });
        let endless = get(async move || {
            // kept by the handler until it ends
            begin.send(()).await.unwrap();
            std::future::pending::<()>().await;
        });
        let router = Router::new().route("/broken", broken).route("/endless", endless);
        let frame = Frame { ids: request_id::Source::new(), request_max: Duration::from_secs(60) };
        let front = Front::new(service(dir.path(), 2000), frame, router);
        let Ok(answer) = front.clone().framed(request("GET", "/broken", &[], ""), connection(1)).await;
        assert_eq!(answer.status().as_u16(), 500);
        assert_eq!(answer.headers().get(request_id::HEADER).unwrap(), "r-1");
        let asked = tokio::spawn(front.clone().framed(request("GET", "/endless", &[], ""), connection(1)));
        begun.recv().await.unwrap();
        drop(front);
        asked.abort();
        let ended = tokio::time::timeout(Duration::from_secs(30), begun.recv()).await;
        assert_eq!(ended.expect("the handler goes with who waits for it"), None);
    }

    #[test]
    fn only_what_has_no_escape_in_its_path_goes_straight() {
        let found = |method: Method, target: &'static str| {
            let uri = Uri::from_static(target);
            let found = call(&method, uri.path(), uri.query().is_some());
            found.map(|(call, tenant)| format!("{call:?} {tenant}"))
        };
        let straight = |text: &str| Some(text.to_owned());
        assert_eq!(found(Method::POST, "/v1/tenants/a/assignments"), straight("Command(Assign) a"));
        assert_eq!(found(Method::POST, "/v1/tenants/a/assignments?b"), None, "it may be no parameter of the call");
        assert_eq!(found(Method::POST, "/v1/tenants/a/uninstalls"), straight("Command(Uninstall) a"));
        assert_eq!(found(Method::POST, "/v1/tenants/b.c/installs"), straight("Command(Install) b.c"));
        assert_eq!(found(Method::GET, "/v1/tenants/a/pools/declared:b"), straight("Pool(\"declared:b\") a"));
        for path in ["/v1/tenants/a%20/installs", "/v1/tenants/installs", "/v1/tenants//installs", "/v1/tenants/a/x"] {
            assert_eq!(found(Method::POST, path), None, "{path}");
        }
        for path in ["installs", "pools", "pools/", "pools/a?as_of=1", "pools/a/seats", "pools/a%2Fb"] {
            let path: &'static str = format!("/v1/tenants/a/{path}").leak();
            assert_eq!(found(Method::GET, path), None, "{path}");
        }
        assert_eq!(found(Method::HEAD, "/v1/tenants/a/pools/b"), None);
    }
}
