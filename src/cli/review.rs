//! `seatledger review`: access reviews of a running service, from opening one to its end, seat by seat or as a spreadsheet that
//! goes out and comes back. Not here: what a review does to a seat.

use super::aside::Aside;
use super::client::{Access, Client, drawn_key, encode};
use super::exit::{self, Failure, Finished};
use super::output::{self, grouped};
use clap::ValueEnum;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufWriter, Read as _};
use std::path::{Path, PathBuf};

/// A sheet is read this far; the service takes 100,000 rows.
const SHEET_BYTES_MAX: usize = 64 << 20;
/// Rows that were refused and are listed for people; `--json` has them all.
const REFUSED_SHOWN_MAX: usize = 20;

const AFTER_HELP: &str = "\
A review freezes who holds its pools. Reviewers say keep or release, seat by seat; at its end the decisions are carried out, and
seats that nobody decided on follow the review's rule. Cancelled, it changes nothing. Everything stays in the history.

`sheet --out` writes all seats as a CSV; fill in its columns decision (keep or release; empty leaves a seat as it is) and
comment, and give it back with `sheet --in`. Every row is judged by itself; sent twice, it decides the same.

Calls that change something carry a key, so that one that broke off is sent again without doing its work twice. --key gives your
own, for who sends the same call again from a script.

Exit codes: 0 done, 1 something was refused and is named, 2 the command line makes no sense, 3 the service can't be reached,
4 the token is not good for this, 5 a file can't be read or written.

Examples:
  seatledger review --tenant contoso --token-file admin.token open --name autumn --pool declared:office --undecided keep
  seatledger review --tenant contoso --token-file admin.token list
  seatledger review --tenant contoso --token-file reviewer.token sheet review_0 --out autumn.csv
  seatledger review --tenant contoso --token-file reviewer.token sheet review_0 --in autumn.csv
  seatledger review --tenant contoso --token-file reviewer.token decide review_0 --pool declared:office --holder user:ada@contoso.example release --comment 'moved to sales'
  seatledger review --tenant contoso --token-file admin.token end review_0
  seatledger review --tenant contoso --token-file auditor.token show review_0";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    access: Access,
    /// The tenant whose reviews they are
    #[arg(long, env = "SEATLEDGER_TENANT", value_name = "NAME")]
    tenant: String,
    /// The key of the call; without one it is drawn
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Freeze who holds some pools, for people to decide
    Open(Opening),
    /// List the reviews, oldest first
    List,
    /// Show one review and how far it is
    Show {
        /// As in review_0
        review: String,
    },
    /// Write the seats as a CSV, or give it back with the decisions filled in
    Sheet(Sheet),
    /// Decide on one seat
    Decide(Deciding),
    /// End a review: what was decided is carried out
    End {
        /// As in review_0
        review: String,
    },
    /// Cancel a review: nothing of it is carried out
    Cancel {
        /// As in review_0
        review: String,
    },
}

#[derive(Debug, clap::Args)]
struct Opening {
    /// What it is called; not for personal data
    #[arg(long)]
    name: String,
    /// A pool's id or key; may be given many times
    #[arg(long, required = true, value_name = "POOL")]
    pool: Vec<String>,
    /// What becomes of a seat that nobody decided on
    #[arg(long, value_enum, value_name = "RULE")]
    undecided: KeepOrRelease,
    /// When it ends by itself, as in 2027-01-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    ends_at: Option<String>,
    /// The id of a token whose person decides, as in token_3; may be given many times. Without any, admins and operators do
    #[arg(long, value_name = "TOKEN")]
    reviewer: Vec<String>,
}

#[derive(Debug, clap::Args)]
struct Sheet {
    /// As in review_0
    review: String,
    #[command(flatten)]
    way: Way,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Way {
    /// Write the seats there; it must not exist yet. - is standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Read the decisions from there. - is standard input
    #[arg(long = "in", value_name = "FILE")]
    filled: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Deciding {
    /// As in review_0
    review: String,
    /// The pool's id or key
    #[arg(long, value_name = "POOL")]
    pool: String,
    /// Who holds the seat: `user:<id or user name>` or `device:<id or name>`
    #[arg(long, value_name = "HOLDER")]
    holder: String,
    #[arg(value_enum)]
    decision: KeepOrRelease,
    /// Why; not for personal data
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum KeepOrRelease {
    Keep,
    Release,
}

impl KeepOrRelease {
    fn word(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Release => "release",
        }
    }
}

/// A call's way to the service.
struct Call {
    client: Client,
    /// Of the tenant's reviews.
    path: String,
    key: String,
    as_json: bool,
}

pub(crate) async fn run(args: Args) -> Result<Finished, Failure> {
    let call = Call {
        client: args.access.client()?,
        path: format!("/v1/tenants/{}/reviews", encode(&args.tenant)),
        key: args.key.map_or_else(drawn_key, Ok)?,
        as_json: args.json,
    };
    match args.command {
        Command::Open(opening) => call.open(opening).await,
        Command::List => call.list().await,
        Command::Show { review } => call.show(&review).await,
        Command::Sheet(Sheet { review, way: Way { out: Some(file), .. } }) => call.sheet_out(&review, &file).await,
        Command::Sheet(Sheet { review, way: Way { filled: Some(file), .. } }) => call.sheet_in(&review, &file).await,
        Command::Sheet(_) => Err(Failure::Usage("--out FILE or --in FILE is needed".into())),
        Command::Decide(deciding) => call.decide(deciding).await,
        Command::End { review } => call.finish(&review, "end").await,
        Command::Cancel { review } => call.finish(&review, "cancel").await,
    }
}

impl Call {
    fn of(&self, review: &str) -> String {
        format!("{}/{}", self.path, encode(review))
    }

    async fn open(&self, opening: Opening) -> Result<Finished, Failure> {
        let Opening { name, pool, undecided, ends_at, reviewer } = opening;
        let body = json!({
            "name": name, "pools": pool, "undecided": undecided.word(), "ends_at": ends_at, "reviewers": reviewer,
        });
        let answer = self.client.post(&self.path, body, Some(&self.key)).await?;
        if self.as_json {
            output::json(&answer)?;
        } else {
            output::line(&word(&answer, "review"))?;
        }
        Ok(Finished::Well)
    }

    async fn list(&self) -> Result<Finished, Failure> {
        let reviews = self.client.list(&self.path).await?;
        if self.as_json {
            output::json(&Value::Array(reviews))?;
            return Ok(Finished::Well);
        }
        let row = |review: &Value| {
            let mut cells: Vec<String> =
                ["id", "state", "name", "ends_at"].iter().map(|field| word(review, field)).collect();
            cells.extend(FIGURES.iter().map(|figure| grouped(count(review, figure))));
            cells
        };
        let header = ["review", "state", "name", "ends at", "seats", "kept", "released", "undecided", "gone"];
        output::line(&output::table(&header, reviews.iter().map(row).collect(), 4))?;
        Ok(Finished::Well)
    }

    async fn show(&self, review: &str) -> Result<Finished, Failure> {
        let shown = self.client.get(&self.of(review)).await?;
        if self.as_json {
            output::json(&shown)?;
            return Ok(Finished::Well);
        }
        let words = |field: &str| {
            let listed = shown.get(field).and_then(Value::as_array).into_iter().flatten();
            listed.filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        };
        let mut lines = vec![
            format!("{}: {}, {}", word(&shown, "id"), word(&shown, "name"), word(&shown, "state")),
            format!("pools      {}", words("pools")),
            format!("opened     {} at position {}", word(&shown, "opened_at"), word(&shown, "opened_position")),
            format!("undecided  {}", word(&shown, "undecided")),
        ];
        let reviewers = words("reviewers");
        lines.push(format!("reviewers  {}", if reviewers.is_empty() { "admins and operators" } else { &reviewers }));
        for (label, field) in [("ends at   ", "ends_at"), ("closed    ", "closed_at"), ("ended     ", "ended_at")] {
            let time = word(&shown, field);
            if !time.is_empty() {
                lines.push(format!("{label} {time}"));
            }
        }
        let figures: Vec<String> =
            FIGURES.iter().map(|figure| format!("{} {figure}", grouped(count(&shown, figure)))).collect();
        lines.push(figures.join(", "));
        output::line(&lines.join("\n"))?;
        Ok(Finished::Well)
    }

    async fn sheet_out(&self, review: &str, file: &Path) -> Result<Finished, Failure> {
        let path = format!("{}/seats?format=csv", self.of(review));
        if is_standard(file) {
            if self.as_json {
                return Err(Failure::Usage(
                    "--json says where the sheet is, and with --out - the sheet is the output".into(),
                ));
            }
            let mut out = BufWriter::new(std::io::stdout());
            self.client.download(&path, &mut out).await?;
            return Ok(Finished::Well);
        }
        // nothing is left behind of one that could not be had
        let mut sheet = Vec::new();
        self.client.download(&path, &mut sheet).await?;
        Aside::of(file)?.write(&sheet)?;
        if self.as_json {
            output::json(&json!({"review": review, "file": file.display().to_string(), "bytes": sheet.len()}))?;
        }
        Ok(Finished::Well)
    }

    async fn sheet_in(&self, review: &str, file: &Path) -> Result<Finished, Failure> {
        let mut sheet = Vec::new();
        let limit = SHEET_BYTES_MAX as u64 + 1;
        let read = if is_standard(file) {
            std::io::stdin().lock().take(limit).read_to_end(&mut sheet)
        } else {
            File::open(file).and_then(|file| file.take(limit).read_to_end(&mut sheet))
        };
        read.map_err(|error| exit::file(file, "can't be read", error))?;
        if sheet.len() > SHEET_BYTES_MAX {
            return Err(exit::file(file, "can't be read", format!("it has more than {SHEET_BYTES_MAX} bytes")));
        }
        let path = format!("{}/decisions", self.of(review));
        let answer = self.client.post_csv(&path, sheet, Some(&self.key)).await?;
        self.receipts(&answer)
    }

    async fn decide(&self, deciding: Deciding) -> Result<Finished, Failure> {
        let Deciding { review, pool, holder, decision, comment } = deciding;
        let row = json!({"pool": pool, "holder": holder, "decision": decision.word(), "comment": comment});
        let path = format!("{}/decisions", self.of(&review));
        let answer = self.client.post(&path, json!({"decisions": [row]}), Some(&self.key)).await?;
        self.receipts(&answer)
    }

    /// What became of the rows.
    fn receipts(&self, answer: &Value) -> Result<Finished, Failure> {
        let number = |field: &str| answer.get(field).and_then(Value::as_u64).unwrap_or(0);
        let refused = number("refused");
        if self.as_json {
            output::json(answer)?;
            return Ok(Finished::well_if(refused == 0));
        }
        let (taken, unchanged) = (grouped(number("taken")), grouped(number("unchanged")));
        output::line(&format!("{taken} taken, {unchanged} unchanged, {} refused", grouped(refused)))?;
        let results = answer.get("results").and_then(Value::as_array).into_iter().flatten();
        let problems = results.filter_map(|result| Some((result, super::client::Problem::of_line(result)?)));
        for (result, problem) in problems.take(REFUSED_SHOWN_MAX) {
            let (row, pool, holder) = (word(result, "row"), word(result, "pool"), word(result, "holder"));
            output::line(&format!("row {row} ({pool} {holder}): {problem}"))?;
        }
        if refused > REFUSED_SHOWN_MAX as u64 {
            output::line(&format!("and {} more", grouped(refused - REFUSED_SHOWN_MAX as u64)))?;
        }
        Ok(Finished::well_if(refused == 0))
    }

    async fn finish(&self, review: &str, way: &str) -> Result<Finished, Failure> {
        let answer = self.client.post(&format!("{}/{way}", self.of(review)), json!({}), Some(&self.key)).await?;
        if self.as_json {
            output::json(&answer)?;
            return Ok(Finished::Well);
        }
        let shown = self.client.get(&self.of(review)).await?;
        let (state, undone) =
            (word(&shown, "state"), if way == "cancel" { ", nothing of it is carried out" } else { "" });
        let figures: Vec<String> =
            FIGURES.iter().map(|figure| format!("{} {figure}", grouped(count(&shown, figure)))).collect();
        output::line(&format!("{review}: {state}{undone}; {}", figures.join(", ")))?;
        Ok(Finished::Well)
    }
}

/// How far a review is, in seats.
const FIGURES: [&str; 5] = ["seats", "kept", "released", "undecided", "gone"];

fn count(review: &Value, figure: &str) -> u64 {
    review.pointer(&format!("/progress/{figure}")).and_then(Value::as_u64).unwrap_or(0)
}

/// A field as it is shown to a person.
fn word(value: &Value, field: &str) -> String {
    match value.get(field) {
        Some(Value::String(word)) => word.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(_) | None => String::new(),
    }
}

fn is_standard(file: &Path) -> bool {
    file.as_os_str() == "-"
}
