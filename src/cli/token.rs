//! `token`: credentials for people and programs, through the public API. Not here: what a role may do.

use super::client::{Access, Client, encode};
use super::exit::{Failure, Finished};
use super::output;
use clap::ValueEnum;
use serde_json::{Value, json};

const AFTER_HELP: &str = "\
Roles: admin (everything of the tenant), operator (commands), connector (inventories, devices, installs), directory
(users and groups), auditor (reads everything, changes nothing).

The first ones are made with the root token. It is in root.token in the data folder, unless the service was given it by
SEATLEDGER_ROOT_TOKEN: then leave --token-file out, and set SEATLEDGER_TOKEN to the same.

Examples:
  seatledger token --tenant contoso --token-file ledger-data/root.token create --name helpdesk --role operator
  seatledger token --tenant contoso --token-file ledger-data/root.token list
  seatledger token --tenant contoso --token-file ledger-data/root.token revoke token_3";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    access: Access,
    /// The tenant whose tokens they are
    #[arg(long, env = "SEATLEDGER_TENANT", value_name = "NAME")]
    tenant: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a token; it is shown this once
    Create {
        /// What it is for
        #[arg(long)]
        name: String,
        #[arg(long, value_enum)]
        role: Role,
        /// RFC 3339, as in 2027-01-01T00:00:00Z; without one it lives until it is revoked
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
    },
    /// List the tokens, without their secrets
    List,
    /// Revoke a token at once
    Revoke {
        /// As in token_3
        token: String,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Role {
    Admin,
    Operator,
    Connector,
    Directory,
    Auditor,
}

pub(crate) async fn run(args: Args) -> Result<Finished, Failure> {
    let client = args.access.client()?;
    let path = format!("/v1/tenants/{}/tokens", encode(&args.tenant));
    match args.command {
        Command::Create { name, role, expires_at } => {
            let role = role.to_possible_value().map(|value| value.get_name().to_owned());
            // without the key of an absent end: null and nothing are the same to the service
            let made = client.post(&path, json!({"name": name, "role": role, "expires_at": expires_at}), None).await?;
            let word = |field: &str| made.get(field).and_then(Value::as_str).unwrap_or("").to_owned();
            if args.json {
                output::json(&made)?;
            } else {
                output::note(&format!("{} is made; its secret is shown this once:", word("token_id")));
                output::line(&word("token"))?;
            }
        }
        Command::List => list(&client, &path, args.json).await?,
        Command::Revoke { token } => {
            let answer = client.delete(&format!("{path}/{}", encode(&token))).await?;
            if args.json {
                output::json(&answer)?;
            } else {
                let status = answer.get("status").and_then(Value::as_str).unwrap_or("done");
                output::line(&format!(
                    "{token}: {}",
                    if status == "unchanged" { "was revoked before" } else { "revoked" }
                ))?;
            }
        }
    }
    Ok(Finished::Well)
}

async fn list(client: &Client, path: &str, as_json: bool) -> Result<(), Failure> {
    let tokens = client.list(path).await?;
    if as_json {
        return output::json(&Value::Array(tokens));
    }
    let cell = |token: &Value, field: &str| match token.get(field) {
        Some(Value::String(word)) => word.clone(),
        Some(Value::Bool(true)) => "revoked".into(),
        Some(_) | None => String::new(),
    };
    let fields = ["token_id", "name", "role", "since", "expires_at", "revoked"];
    let rows = tokens.iter().map(|token| fields.map(|field| cell(token, field)).to_vec()).collect();
    output::line(&output::table(&fields, rows, fields.len()))
}
