//! The published contract: OpenAPI 3.1, made from the handlers themselves. Here: what all calls share. Not here: the calls.

use super::problem::ProblemBody;
use super::wire::kind::Kind;
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, HeaderBuilder, KnownFormat, ObjectBuilder, OpenApi as OpenApiDocument, Ref, RefOr, Response,
    ResponseBuilder, Schema, SchemaFormat, Type,
};
use utoipa::{IntoParams, IntoResponses, Modify, OpenApi, PartialSchema, ToSchema};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "seatledger",
        description = "Who holds which seat, since when, and proof that no seat was handed out twice. Every answer names the \
                       position that it speaks of; every refusal is a problem (RFC 9457) whose type is a page.",
        license(name = "MIT", identifier = "MIT")
    ),
    components(schemas(ProblemBody, Kind)),
    modifiers(&Security),
    security(("token" = []))
)]
pub(super) struct Contract;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let token = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("A tenant's token (POST /v1/tenants/{tenant}/tokens), or the root token"))
            .build();
        document.components.get_or_insert_default().add_security_scheme("token", SecurityScheme::Http(token));
    }
}

type Responses = BTreeMap<String, RefOr<Response>>;

fn problems(statuses: &[(u16, &str)]) -> Responses {
    let body = || ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let response =
        |said: &str| ResponseBuilder::new().description(said).content("application/problem+json", body()).build();
    statuses.iter().map(|(status, said)| (status.to_string(), response(said).into())).collect()
}

const ANY: [(u16, &str); 8] = [
    (400, "The request can't be read"),
    (401, "Nobody is known by this token"),
    (403, "The token's role does not allow this"),
    (404, "No such thing"),
    (408, "The request took too long to arrive"),
    (429, "Too many requests"),
    (500, "The service failed"),
    (503, "The service can't take this now"),
];

/// Problems of every read.
pub(super) struct ReadProblems;

impl IntoResponses for ReadProblems {
    fn responses() -> Responses {
        let mut all = problems(&ANY);
        all.extend(problems(&[(422, "The request means nothing"), (504, "Not in time")]));
        all
    }
}

/// Problems of every command.
pub(super) struct CommandProblems;

impl IntoResponses for CommandProblems {
    fn responses() -> Responses {
        let mut all = problems(&ANY);
        all.extend(problems(&[
            (409, "The state forbids it"),
            (413, "Too large"),
            (415, "The body is of the wrong type"),
            (422, "The request means nothing"),
            (504, "Not in time"),
        ]));
        all
    }
}

/// Of a command with [`IfMatchHeader`].
pub(super) struct IfMatchProblems;

impl IntoResponses for IfMatchProblems {
    fn responses() -> Responses {
        problems(&[(412, "Somebody was faster, or there is nothing yet")])
    }
}

/// Headers of a command.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "for the contract; the door reads the headers")]
pub(super) struct CommandHeaders {
    /// Within a tenant the same key with the same content gives the first answer again
    #[param(rename = "Idempotency-Key", min_length = 1, max_length = 64, pattern = "^[ -~]{1,64}$")]
    idempotency_key: Option<String>,
}

/// A header of the commands that are about something with an ETag; any other answers it with 400.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "for the contract; the door reads the header")]
pub(super) struct IfMatchHeader {
    /// The ETag of the state that the command was decided on; `*` for any. It does not hold where there is nothing yet
    #[param(rename = "If-Match", pattern = "^(\\*|\"[0-9]{1,19}\")$")]
    if_match: Option<String>,
}

const REPLAYED: &str = "Idempotent-Replayed";

/// What a call with a key answers says whether it was said before.
pub(super) fn tell_repeats_apart(contract: &mut OpenApiDocument) {
    let header = HeaderBuilder::new()
        .schema(Some(ObjectBuilder::new().schema_type(Type::Boolean).build()))
        .description(Some("There, as true, where the command was judged before: this is its first answer again"));
    let components = contract.components.get_or_insert_default();
    components.headers.insert(REPLAYED.to_owned(), header.build().into());
    for item in contract.paths.paths.values_mut() {
        let PathItem { get, put, post, delete, patch, .. } = item;
        for operation in [get, put, post, delete, patch].into_iter().flatten() {
            // many commands say it each for itself, in their results
            if takes_a_key(operation) && operation.operation_id.as_deref() != Some("commands") {
                tell_repeat(operation);
            }
        }
    }
}

fn takes_a_key(operation: &Operation) -> bool {
    operation.parameters.iter().flatten().any(|parameter| match parameter {
        RefOr::T(parameter) => parameter.name == "Idempotency-Key",
        RefOr::Ref(_) => false,
    })
}

fn tell_repeat(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        let is_judged = matches!(status.as_str(), "200" | "201" | "202" | "404" | "409" | "412" | "422");
        if let (true, RefOr::T(response)) = (is_judged, response) {
            let header = Ref::new(format!("#/components/headers/{REPLAYED}"));
            response.headers.insert(REPLAYED.to_owned(), RefOr::Ref(header));
        }
    }
}

/// Headers of many commands.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "for the contract; lines.rs reads the header")]
pub(super) struct BulkHeaders {
    /// A command without an id of its own takes this, with `#` and its place in the list behind it
    #[param(rename = "Idempotency-Key", min_length = 1, max_length = 59, pattern = "^[ -~]{1,59}$")]
    idempotency_key: Option<String>,
}

/// What a command answered; which of the fields are there depends on the call
#[derive(serde::Serialize, ToSchema)]
pub(super) struct CommandAnswer {
    /// `done`, or `unchanged`: it was so already
    status: String,
    position: u64,
    assignment: Option<String>,
    user: Option<String>,
    device: Option<String>,
    group: Option<String>,
    pool: Option<String>,
    holder: Option<String>,
    sync: Option<String>,
    token_id: Option<String>,
    review: Option<String>,
    /// What the command left the review as
    state: Option<String>,
    reserved: Option<u64>,
    queued: Option<u64>,
    released: Option<u64>,
    seats_released: Option<u64>,
    regranted: Option<u64>,
    /// Pools whose seats a departure could not release
    kept: Option<Vec<String>>,
    /// Pools whose seats a return offers
    offered: Option<Vec<String>>,
    /// Members of the target that get no seat, with the reason; a sync's items that make no pool
    #[schema(value_type = Option<Vec<Object>>)]
    skipped: Option<Vec<Value>>,
    /// What the brake holds back until a person confirms it
    #[schema(value_type = Option<Object>)]
    held: Option<Value>,
    /// Whose seat licenses an install
    seat: Option<String>,
    licensed: Option<bool>,
}

/// Bytes as they are: in the contract a binary string, and not an array of numbers.
pub(super) struct Binary;

impl PartialSchema for Binary {
    fn schema() -> RefOr<Schema> {
        let format = SchemaFormat::KnownFormat(KnownFormat::Binary);
        let bytes = ObjectBuilder::new().schema_type(Type::String).format(Some(format));
        bytes.content_media_type("application/octet-stream").into()
    }
}

impl ToSchema for Binary {}
