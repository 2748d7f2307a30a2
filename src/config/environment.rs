//! What the environment says, each setting as `SEATLEDGER_<NAME>`. What is about keys and misspelt is refused: one that is taken
//! for missing would be made anew. Other names that nobody knows are told, since an environment is shared. Not here: what the
//! settings mean.

use figment::value::{Dict, Map, Value};
use figment::{Error, Metadata, Profile, Provider};
use std::ffi::OsString;

const PREFIX: &str = "SEATLEDGER_";

/// How a value is written.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// As it is, also where it looks like a number
    Text,
    Number,
    /// One entry as it is, or `["first", "second"]`
    List,
}

const SETTINGS: &[(&str, Form)] = &[
    ("data", Form::Text),
    ("listen", Form::Text),
    ("clock", Form::Text),
    ("log_format", Form::Text),
    ("log", Form::Text),
    ("root_token", Form::Text),
    ("master_key", Form::Text),
    ("master_key_file", Form::Text),
    ("connections_max", Form::Number),
    ("requests_per_second", Form::Number),
    ("stranger_requests_per_second", Form::Number),
    ("body_bytes_max", Form::Number),
    ("bulk_bytes_max", Form::Number),
    ("head_seconds_max", Form::Number),
    ("request_seconds_max", Form::Number),
    ("drain_seconds_max", Form::Number),
    ("disk_floor_bytes", Form::Number),
    ("segment_bytes", Form::Number),
    ("sled_cache_bytes", Form::Number),
    ("checkpoint_seconds", Form::Number),
    ("scrub_seconds", Form::Number),
    ("log_name", Form::Text),
    ("log_key", Form::Text),
    ("log_key_file", Form::Text),
    ("sign_seconds", Form::Number),
    ("witnesses", Form::List),
    ("witness_quorum", Form::Number),
    ("witness_ca", Form::Text),
    ("quorum_seconds_max", Form::Number),
    ("timestamp_url", Form::Text),
    ("timestamp_ca", Form::Text),
    ("store_credentials", Form::Text),
    ("store_ca", Form::Text),
    ("store_urls", Form::List),
    ("store_sync_seconds", Form::Number),
    ("store_pause_seconds", Form::Number),
    ("store_agree_seconds", Form::Number),
];

/// Who can set the environment could have anything run: these stand in the file alone.
const IN_THE_FILE_ALONE: &[&str] = &["master_key_command", "store_credentials_command"];

/// Of other commands, and of the tests and the tools around them.
const FOR_OTHERS: &[&str] = &[
    "URL",
    "CA",
    "TOKEN",
    "TOKEN_FILE",
    "TENANT",
    "PROGRAM",
    "CONTRACT_LOG",
    "PARQUET_PYTHON",
    "STORE_RUNS",
    "STORE_SEED",
    "STORE_TRAIL",
    "TAMPER_FLIPS",
    "TAMPER_KINDS",
];

/// The settings that were found.
#[derive(Debug, Default)]
pub(super) struct Environment {
    settings: Dict,
    /// Why each of the others is not taken.
    pub(super) ignored: Vec<String>,
}

/// # Errors
/// Which variable is wrong, and how; never the value of one that is text.
pub(super) fn read(variables: impl Iterator<Item = (OsString, OsString)>) -> Result<Environment, String> {
    let mut found = Environment::default();
    for (variable, value) in variables {
        let variable = variable.to_string_lossy();
        let is_ours = variable.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX));
        let Some(name) = variable.get(PREFIX.len()..).filter(|_| is_ours) else { continue };
        let known = SETTINGS.iter().find(|(setting, _)| setting.to_uppercase() == name);
        let Some((setting, form)) = known.filter(|_| variable.starts_with(PREFIX)) else {
            if FOR_OTHERS.contains(&name) || name.starts_with("TEST_") || is_of_a_container(name) {
                continue;
            }
            let why = unknown(&variable, name);
            let is_of_keys = ["KEY", "CREDENTIALS"].iter().any(|word| name.to_uppercase().contains(word));
            if is_of_keys {
                return Err(why);
            }
            found.ignored.push(why);
            continue;
        };
        let text = value.into_string().map_err(|_| format!("{variable}: its value is no UTF-8"))?;
        let value = form.read(text).map_err(|fault| format!("{variable}: {fault}"))?;
        found.settings.insert((*setting).to_owned(), value);
    }
    Ok(found)
}

fn unknown(variable: &str, name: &str) -> String {
    match IN_THE_FILE_ALONE.iter().find(|setting| setting.eq_ignore_ascii_case(name)) {
        Some(setting) => format!("{variable}: {setting} is taken from the file alone (--config FILE)"),
        None => format!("{variable}: there is no such setting; see seatledger serve --help"),
    }
}

/// Kubernetes and links of Docker tell a program in this way of a service that is called like ours.
fn is_of_a_container(name: &str) -> bool {
    let is_numbered = |(_, rest): (&str, &str)| rest.starts_with(|first: char| first.is_ascii_digit());
    name.ends_with("SERVICE_HOST")
        || name.contains("SERVICE_PORT")
        || name == "PORT"
        || name.ends_with("_PORT")
        || name.split_once("PORT_").is_some_and(is_numbered)
}

impl Form {
    fn read(self, text: String) -> Result<Value, String> {
        match self {
            Self::Text => Ok(text.into()),
            Self::Number => {
                let number = text.trim().parse::<u64>();
                number.map(Value::from).map_err(|_| format!("{text:?} is no number, or too large"))
            }
            Self::List if text.trim_start().starts_with('[') => match text.parse() {
                Ok(list @ Value::Array(..)) => Ok(list),
                Ok(_) | Err(_) => {
                    Err("it begins as a list and is none; one is written as [\"first\", \"second\"]".into())
                }
            },
            Self::List if text.trim().is_empty() => Ok(Vec::<String>::new().into()),
            Self::List => Ok(vec![text].into()),
        }
    }
}

impl Provider for Environment {
    fn metadata(&self) -> Metadata {
        Metadata::named("the environment")
            .interpolater(|_, keys| format!("{PREFIX}{}", keys.first().copied().unwrap_or_default().to_uppercase()))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(Profile::Default.collect(self.settings.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;
    use figment::Figment;
    use figment::providers::Serialized;
    use std::os::unix::ffi::OsStringExt as _;

    fn read_one(name: &str, value: &[u8]) -> Result<Config, String> {
        let variables = [(name.into(), OsString::from_vec(value.to_vec())), ("PATH".into(), "/bin".into())];
        let layers = Figment::from(Serialized::defaults(Config::default())).merge(read(variables.into_iter())?);
        layers.extract().map_err(|error| error.to_string())
    }

    #[test]
    fn every_setting_is_one_of_the_environment_or_of_the_file_alone() {
        let all = serde_json::to_value(Config::default()).unwrap();
        let mut all: Vec<&str> = all.as_object().unwrap().keys().map(String::as_str).collect();
        let mut said: Vec<&str> =
            SETTINGS.iter().map(|(name, _)| *name).chain(IN_THE_FILE_ALONE.iter().copied()).collect();
        all.sort_unstable();
        said.sort_unstable();
        assert_eq!(all, said);
    }

    #[test]
    fn what_is_misspelt_or_of_another_form_is_refused_by_its_name() {
        for (name, value) in [
            ("SEATLEDGER_MASTER_KY_KEY", "00".as_bytes()),
            ("seatledger_master_key", b"00"),
            ("SEATLEDGER_MASTER_KEY_COMMAND", b"[\"pass\"]"),
            ("SEATLEDGER_ROOT_TOKEN", b"hush\xff"),
            ("SEATLEDGER_CONNECTIONS_MAX", b"many"),
            ("SEATLEDGER_REQUESTS_PER_SECOND", b"99999999999"),
            ("SEATLEDGER_CLOCK", b"sundial"),
            ("SEATLEDGER_WITNESSES", b"[\"a b\""),
            ("SEATLEDGER_STORE_URLS", b"[7]"),
        ] {
            let error = read_one(name, value).err().unwrap();
            assert!(error.contains(name) && !error.contains("hush"), "{name}: {error}");
        }
    }

    #[test]
    fn a_name_that_nobody_knows_is_told_and_others_are_taken() {
        let said = ["SEATLEDGER_LISTN", "seatledger_data", "SEATLEDGER_SERVICE_HOST", "SEATLEDGER_LOG_NAME", "PATH"];
        let read = read(said.iter().map(|name| ((*name).into(), "x".into()))).unwrap();
        assert_eq!(read.settings.keys().collect::<Vec<_>>(), ["log_name"]);
        let told: Vec<_> = read.ignored.iter().map(|why| why.split(':').next().unwrap()).collect();
        assert_eq!(told, ["SEATLEDGER_LISTN", "seatledger_data"]);
    }

    #[test]
    fn a_text_is_taken_as_it_is_and_a_list_in_either_form() {
        assert_eq!(read_one("SEATLEDGER_LOG_NAME", b"2026").unwrap().log_name, "2026");
        assert_eq!(read_one("SEATLEDGER_MASTER_KEY", b"00").unwrap().master_key.as_deref(), Some("00"));
        assert_eq!(read_one("SEATLEDGER_CONNECTIONS_MAX", b"7").unwrap().connections_max, 7);
        for (text, list) in [
            ("http://a k+1", vec!["http://a k+1"]),
            ("[\"http://a k+1\"]", vec!["http://a k+1"]),
            ("[\"http://a k+1\", \"http://b k+2\"]", vec!["http://a k+1", "http://b k+2"]),
            ("", vec![]),
        ] {
            assert_eq!(read_one("SEATLEDGER_WITNESSES", text.as_bytes()).unwrap().witnesses, list, "{text}");
        }
    }

    #[test]
    fn what_is_meant_for_others_is_passed_over() {
        for name in [
            "SEATLEDGER_URL",
            "SEATLEDGER_TEST_BUDGET",
            "SEATLEDGER_SERVICE_HOST",
            "SEATLEDGER_SERVICE_PORT_HTTP",
            "SEATLEDGER_PORT",
            "SEATLEDGER_PORT_8080_TCP_ADDR",
            "SEATLEDGER_WEB_PORT_8080_TCP",
            "SEATLEDGERS",
            "OTHER",
        ] {
            assert!(read_one(name, b"x\xff").is_ok(), "{name}");
        }
    }
}
