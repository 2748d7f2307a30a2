//! `seatledger stores`: which store accounts a tenant is linked to and how their connectors stand; links one, or renews its
//! credentials. Not here: what a connector does.

use super::client::{self, Access};
use super::exit::{self, Failure, Finished};
use super::output;
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

const FILE_BYTES_MAX: u64 = 1 << 20;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The account of microsoft-store is the organization's directory: its id, or a domain of it. Its settings: client_id, and base_url
and authority_url where the service is not Microsoft's. Of apple-business: mdm_id and mdm_name, notification_url, and base_url
where it is not Apple's. A setting that is not named stays as it is; with nothing behind its = it is taken away.
Credentials are JSON in a file:
{\"client_secret\": \"...\"} for Microsoft, {\"content_tokens\": [\"...\"]} for Apple, a token for each unit. They are kept by
the service with mode 0600, outside the log, and never shown again.

Examples:
  seatledger stores --tenant contoso --token-file admin.token
  seatledger stores --link microsoft-store --account contoso.example --set client_id=91ab... --credentials secret.json --tenant contoso
  seatledger stores --link apple-business --account 2049025000431439 --credentials tokens.json --tenant contoso

Ends with 1 while a linked store can't be written to.")]
pub(crate) struct Args {
    /// Link an account of this provider, or change its settings or its credentials
    #[arg(long, value_name = "PROVIDER", requires = "account")]
    link: Option<String>,
    /// What the account is called: at Apple the uId of a unit. Once linked it can't be another one
    #[arg(long, value_name = "ID", requires = "link")]
    account: Option<String>,
    /// A setting, as in client_id=91ab; base_url= takes it away. Those that are not named stay
    #[arg(long = "set", value_name = "NAME=VALUE", requires = "link", value_parser = setting)]
    settings: Vec<(String, String)>,
    /// A file with the credentials
    #[arg(long, value_name = "FILE", requires = "link")]
    credentials: Option<PathBuf>,
    #[command(flatten)]
    access: Access,
    /// Whose stores
    #[arg(long, env = "SEATLEDGER_TENANT", value_name = "TENANT")]
    tenant: String,
    /// Print the list as JSON
    #[arg(long)]
    json: bool,
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

pub(crate) async fn run(args: Args) -> Result<Finished, Failure> {
    let client = args.access.client()?;
    let base = format!("/v1/tenants/{}/store-accounts", client::encode(&args.tenant));
    if let Some(provider) = &args.link {
        let path = format!("{base}/{}", client::encode(provider));
        let (mut body, mut linking) = (json!({"account_id": args.account}), client.clone());
        if let Some(file) = &args.credentials {
            client::put(&mut body, "credentials", read(file)?);
        }
        if !args.settings.is_empty() {
            let (account, etag) = client.find(&path).await?.unwrap_or_default();
            client::put(&mut body, "settings", laid_over(account.get("settings"), &args.settings));
            // what somebody else has set since is not undone
            linking = etag.map_or(linking, |etag| client.if_match(&etag));
        }
        linking.put(&path, body, Some(&client::drawn_key()?)).await?;
    }
    let accounts = client.list(&base).await?;
    if args.json {
        output::json(&Value::Array(accounts.clone()))?;
    } else {
        let rows = accounts.iter().map(row).collect();
        let header = ["provider", "account", "stands", "unconfirmed", "releasing", "unknown", "oldest (s)"];
        output::line(&output::table(&header, rows, 3))?;
        let units: Vec<_> = accounts.iter().flat_map(unit_rows).collect();
        if !units.is_empty() {
            output::line(&output::table(&["account", "unit", "stands", "notifications"], units, 4))?;
        }
    }
    let is_well = |account: &Value| account.pointer("/connector/problem").is_none_or(Value::is_null);
    Ok(Finished::well_if(accounts.iter().all(is_well)))
}

/// The service takes settings as a whole.
fn laid_over(settings: Option<&Value>, said: &[(String, String)]) -> Map<String, Value> {
    let mut settings = settings.and_then(Value::as_object).cloned().unwrap_or_default();
    for (name, value) in said {
        if value.is_empty() {
            settings.remove(name);
        } else {
            settings.insert(name.clone(), value.clone().into());
        }
    }
    settings
}

fn row(account: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let connector = &account["connector"];
    let stands = match (connector["problem"].as_str(), connector["running"].as_bool()) {
        (Some(problem), _) if connector["read_only"] == true => format!("read only: {problem}"),
        (Some(problem), _) => problem.to_owned(),
        (None, Some(true)) => connector["sync"].as_str().map_or("runs".to_owned(), |sync| format!("runs {sync}")),
        (None, Some(false)) => "does not run".to_owned(),
        (None, None) => "is sent its inventory".to_owned(),
    };
    let count = |name: &str| connector[name].as_u64().map_or(String::new(), output::grouped);
    let counts = ["unconfirmed", "releasing", "unknown", "oldest_seconds"].map(count);
    [vec![text(&account["provider"]), text(&account["account_id"]), stands], counts.to_vec()].concat()
}

/// Of an account with several units each; of another what its line does not say.
fn unit_rows(account: &Value) -> Vec<Vec<String>> {
    let units = account.pointer("/connector/units").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let is_told = |unit: &&Value| units.len() > 1 || !unit["notifications"].is_null();
    let row = |unit: &Value| {
        let text = |value: &Value, otherwise: &str| value.as_str().unwrap_or(otherwise).to_owned();
        let stands = match (unit["problem"].as_str(), unit["read_only"] == true) {
            (Some(problem), true) => format!("read only: {problem}"),
            (Some(problem), false) => problem.to_owned(),
            (None, _) => "runs".to_owned(),
        };
        vec![
            text(&account["account_id"], ""),
            text(&unit["unit"], "not known yet"),
            stands,
            text(&unit["notifications"], ""),
        ]
    };
    units.iter().filter(is_told).map(row).collect()
}

fn read(path: &Path) -> Result<Value, Failure> {
    let mut text = zeroize::Zeroizing::new(Vec::new());
    let read = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut text));
    read.map_err(|error| exit::file(path, "the credentials can't be read", error))?;
    // what serde says of it could quote it
    serde_json::from_slice(&text).map_err(|_| exit::file(path, "the credentials can't be read", "it is no JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_is_not_named_stays_and_one_with_nothing_behind_it_goes() {
        let said = ["base_url=", "client_id=c2", "mdm_id="].map(|text| setting(text).unwrap());
        let known = json!({"client_id": "c", "base_url": "http://a", "poll_millis": 40_000});
        assert_eq!(Value::Object(laid_over(Some(&known), &said)), json!({"client_id": "c2", "poll_millis": 40_000}));
        assert_eq!(Value::Object(laid_over(None, &said)), json!({"client_id": "c2"}));
    }
}
