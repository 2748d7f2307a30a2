//! `seatledger diff`: what changed in a running service's history between two points. Not here: how that is found.

use super::client::{self, Access};
use super::exit::{Failure, Finished};
use super::report::{Form, print};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Points are positions (4711) or times (2026-11-24T19:00:00Z), the earlier one first.

Examples:
  seatledger diff --at 100 --at 200 --tenant contoso --token-file auditor.token
  seatledger diff --at 2026-07-01T00:00:00Z --at 2026-10-01T00:00:00Z --tenant contoso --by person --format csv")]
pub(crate) struct Args {
    #[command(flatten)]
    access: Access,
    /// Whose history
    #[arg(long, env = "SEATLEDGER_TENANT", value_name = "TENANT")]
    tenant: String,
    /// One of the two points; given twice
    #[arg(long, required = true, value_name = "POINT")]
    at: Vec<String>,
    /// Pool by pool, or person by person
    #[arg(long, value_enum, default_value_t = By::Pool)]
    by: By,
    /// A pool's id or key
    #[arg(long, value_name = "POOL")]
    pool: Option<String>,
    /// A user's id or user name; with --by person
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    #[arg(long, value_enum, default_value_t = Form::Json)]
    format: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum By {
    Pool,
    Person,
}

pub(crate) async fn run(args: Args) -> Result<Finished, Failure> {
    let [from, to] = args.at.as_slice() else {
        return Err(Failure::Usage(format!("--at is given twice, not {} times", args.at.len())));
    };
    let by = match args.by {
        By::Pool => "pool",
        By::Person => "person",
    };
    let more = [("pool", args.pool.as_deref()), ("user", args.user.as_deref())];
    let mut given = vec![("from", from.as_str()), ("to", to.as_str()), ("by", by)];
    given.extend(more.into_iter().filter_map(|(name, value)| Some((name, value?))));
    let path = format!("/v1/tenants/{}/diff", client::encode(&args.tenant));
    print(&args.access.client()?, &path, &given, args.format).await
}
