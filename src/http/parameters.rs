//! Which query parameters each call knows, from the contract itself. Another name is refused, and so is one that is given twice: a
//! mistyped `as_of` would get today's figures for an answer about the past, a mistyped `atomic` would do half of what is to be done
//! whole. Not here: what a parameter means.

use super::problem::Problem;
use axum::extract::{MatchedPath, Query};
use axum::http::Method;
use axum::http::request::Parts;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use utoipa::openapi::path::{Operation, ParameterIn, PathItem};
use utoipa::openapi::{OpenApi, RefOr};

/// A client that reads lists may send these with every read: what is no list is one page, and nobody takes it for something else.
const OF_LISTS: [&str; 2] = ["limit", "cursor"];

/// By method and path, as the contract writes them.
pub(super) struct Parameters(BTreeMap<String, Vec<String>>);

impl Parameters {
    pub(super) fn of(contract: &OpenApi) -> Self {
        let mut known = BTreeMap::new();
        for (path, item) in &contract.paths.paths {
            let PathItem { get, put, post, delete, patch, .. } = item;
            let calls = [
                (Method::GET, get),
                (Method::PUT, put),
                (Method::POST, post),
                (Method::DELETE, delete),
                (Method::PATCH, patch),
            ];
            for (method, operation) in calls {
                known.extend(operation.as_ref().map(|operation| (key(&method, path), names_of(operation))));
            }
        }
        Self(known)
    }

    fn check(&self, method: &Method, path: &str, given: &[(String, String)]) -> Result<(), Problem> {
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        let Some(known) = self.0.get(&key(method, path)) else { return Ok(()) };
        let may_be_of_lists = *method == Method::GET;
        let mut seen = BTreeSet::new();
        for (name, _) in given {
            let refused = |why: String| Problem::new("invalid-query", why).with("parameter", name.as_str());
            let is_known = known.contains(name) || (may_be_of_lists && OF_LISTS.contains(&name.as_str()));
            if !is_known {
                let takes = if known.is_empty() { "no parameters".to_owned() } else { known.join(", ") };
                return Err(refused(format!("{name}: the call is not asked with it; it takes {takes}")));
            }
            if !seen.insert(name) {
                return Err(refused(format!("{name}: it is given more than once")));
            }
        }
        Ok(())
    }
}

fn key(method: &Method, path: &str) -> String {
    format!("{method} {path}")
}

fn names_of(operation: &Operation) -> Vec<String> {
    let parameters = operation.parameters.iter().flatten().filter_map(|parameter| match parameter {
        RefOr::T(parameter) => Some(parameter),
        RefOr::Ref(_) => None,
    });
    parameters.filter(|it| it.parameter_in == ParameterIn::Query).map(|it| it.name.clone()).collect()
}

/// Of a caller who is known: to others it is not said what a call takes.
pub(super) fn check(parts: &Parts) -> Result<(), Problem> {
    if parts.uri.query().is_none_or(str::is_empty) {
        return Ok(());
    }
    let (Some(parameters), Some(path)) =
        (parts.extensions.get::<Arc<Parameters>>(), parts.extensions.get::<MatchedPath>())
    else {
        return Ok(());
    };
    match Query::<Vec<(String, String)>>::try_from_uri(&parts.uri) {
        Ok(Query(given)) => parameters.check(&parts.method, path.as_str(), &given),
        Err(error) => Err(Problem::new("invalid-query", error.body_text())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_knows_what_the_contract_says_and_nothing_else() {
        let parameters = Parameters::of(&crate::http::openapi());
        let told = |method: &Method, path: &str, given: &[&str]| {
            let given: Vec<_> = given.iter().map(|name| ((*name).to_owned(), "1".to_owned())).collect();
            let path = format!("/v1/tenants/{{tenant}}{path}");
            parameters.check(method, &path, &given).err().map(|problem| problem.to_json()["detail"].clone())
        };
        assert_eq!(told(&Method::GET, "/pools/{pool}", &["as_of", "as_known_at", "at_least"]), None);
        assert_eq!(told(&Method::GET, "/reports", &["limit"]), None, "there is one page");
        for method in [Method::GET, Method::HEAD] {
            let why = told(&method, "/pools/{pool}", &["asof"]).unwrap();
            assert_eq!(why, "asof: the call is not asked with it; it takes at_least, as_of, as_known_at");
        }
        let none = told(&Method::GET, "/log/key", &["as_of"]).unwrap();
        assert_eq!(none, "as_of: the call is not asked with it; it takes no parameters");
        let twice = told(&Method::GET, "/users", &["limit", "as_of", "limit"]).unwrap();
        assert_eq!(twice, "limit: it is given more than once");
        assert!(told(&Method::POST, "/pools/{pool}/deficit/plan", &["asof"]).is_some());
        assert!(told(&Method::GET, "/events/stream", &["order"]).is_some(), "events come as they happen");
        assert_eq!(told(&Method::POST, "/commands", &["atomic"]), None);
        let why = told(&Method::POST, "/commands", &["Atomic"]).unwrap();
        assert_eq!(why, "Atomic: the call is not asked with it; it takes atomic");
        for (method, path, name) in [
            (Method::POST, "/inventory", "dry_run"),
            (Method::POST, "/assignments", "limit"),
            (Method::PUT, "/users/{user}", "x"),
            (Method::PATCH, "/settings", "x"),
            (Method::DELETE, "/groups/{group}", "cursor"),
        ] {
            let why = told(&method, path, &[name]).unwrap();
            assert_eq!(why, format!("{name}: the call is not asked with it; it takes no parameters"), "{path}");
        }
    }
}
