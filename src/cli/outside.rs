//! HTTP to services that others run, witnesses among them: with time limits, without redirects, over TLS where the URL says so,
//! through the proxy that the environment names unless they run on this machine.
//! Not here: what is asked of them.

use super::exit::{self, Failure};
use std::fs::File;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Once;
use std::time::Duration;

/// Certificates in one file; a bundle of all roots of a system has about half of it.
const CA_BYTES_MAX: u64 = 1 << 20;

fn with_provider() -> reqwest::ClientBuilder {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // an error means that there is one already, which is as good
        let _there = rustls::crypto::ring::default_provider().install_default();
    });
    reqwest::Client::builder()
}

/// Who asks at these URLs, which others serve.
pub(super) fn client<'u>(
    urls: impl Iterator<Item = &'u str>,
    ca: Option<&Path>,
    answer_max: Duration,
) -> Result<reqwest::Client, Failure> {
    built(begun(urls, ca)?.timeout(answer_max))
}

/// The same, with the time limits still to be set.
pub(super) fn begun<'u>(
    urls: impl Iterator<Item = &'u str>,
    ca: Option<&Path>,
) -> Result<reqwest::ClientBuilder, Failure> {
    let urls: Vec<&str> = urls.collect();
    // a machine without certificates can ask where there is no TLS
    let has_tls = urls.iter().any(|url| url.starts_with("https://"));
    let client = match ca {
        Some(file) => with_provider().tls_certs_only(certificates(file)?),
        None if has_tls => with_provider(),
        None => with_provider().tls_certs_only([]),
    };
    // a proxy has no way to this machine, and would read along; one client asks them all
    let client = if urls.iter().any(|url| is_here(url)) { client.no_proxy() } else { client };
    let client = client
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .user_agent(concat!("seatledger/", env!("CARGO_PKG_VERSION")));
    Ok(client)
}

pub(super) fn built(client: reqwest::ClientBuilder) -> Result<reqwest::Client, Failure> {
    client.build().map_err(|error| Failure::File(format!("nobody outside can be asked: {}", in_full(&error))))
}

/// A file of certificates, as it is.
pub(super) fn read_certificates(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = vec![];
    let read = File::open(path).and_then(|file| file.take(CA_BYTES_MAX).read_to_end(&mut bytes));
    read.map_err(|error| exit::file(path, "the certificates can't be read", error))?;
    Ok(bytes)
}

fn certificates(path: &Path) -> Result<Vec<reqwest::Certificate>, Failure> {
    let found = reqwest::Certificate::from_pem_bundle(&read_certificates(path)?);
    let found = found.map_err(|error| exit::file(path, "it holds no certificates in PEM", in_full(&error)))?;
    if found.is_empty() {
        return Err(exit::file(path, "it holds no certificates in PEM", "none was found"));
    }
    Ok(found)
}

/// Whether a text is a URL that can be asked.
pub(super) fn is_url(text: &str) -> bool {
    let has_scheme = ["http://", "https://"].iter().any(|scheme| text.starts_with(scheme));
    has_scheme && reqwest::Url::parse(text).is_ok_and(|url| url.has_host())
}

/// Whether a URL is one of this machine.
fn is_here(url: &str) -> bool {
    let url = reqwest::Url::parse(url).ok();
    url.as_ref().and_then(reqwest::Url::host_str).is_some_and(|host| {
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let is_local = |address: IpAddr| address.to_canonical().is_loopback() || address.is_unspecified();
        address.map_or_else(|_| host == "localhost" || host.ends_with(".localhost"), is_local)
    })
}

/// With the causes behind it: that a certificate is not trusted stands at their end.
pub(super) fn in_full(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_asked_has_a_scheme_and_a_host() {
        for url in ["http://a", "https://ledger.example/below", "http://127.0.0.1:8080", "http://[::1]:1"] {
            assert!(is_url(url), "{url}");
        }
        for text in ["", "foo", "ftp://a", "http:a", "http://", "http://a:99999", "//a"] {
            assert!(!is_url(text), "{text}");
        }
    }

    #[test]
    fn what_runs_on_this_machine_is_known_by_its_url() {
        let here = [
            "http://127.0.0.1:1/x",
            "http://127.8.8.8",
            "http://localhost:8080",
            "https://a.localhost",
            "http://[::1]:1",
        ];
        for url in here.into_iter().chain(["http://0.0.0.0:1", "http://[::ffff:127.0.0.1]", "http://LOCALHOST"]) {
            assert!(is_here(url), "{url}");
        }
        for url in [
            "http://127.0.0.1.example",
            "https://localhost.example",
            "http://10.0.0.1",
            "http://[2001:db8::1]",
            "http://",
        ] {
            assert!(!is_here(url), "{url}");
        }
    }
}
