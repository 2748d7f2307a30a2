//! What a connector needs to be let in: kept outside the log, in a file of mode 0600 for each account, or given by the
//! environment or by a command. Never in an event, a log line, an error or an answer. Not here: what is done with it.

use super::secret::StoreSecret;
use crate::domain::key::Provider;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::time::timeout;
use zeroize::Zeroizing;

/// The folder of the data folder in which they lie.
pub const FOLDER: &str = "credentials";
/// Of one account's credentials as JSON: Apple's tokens are some hundred bytes each.
pub const BYTES_MAX: usize = 1 << 20;
/// With the position beside them, and one more.
const FILE_BYTES_MAX: u64 = BYTES_MAX as u64 + 64;
const COMMAND_MAX: Duration = Duration::from_secs(20);
/// Once it has ended, what it printed is in the pipe.
const PIPE_MAX: Duration = Duration::from_secs(1);
const SECRET_BYTES_MAX: usize = 8192;
const TOKENS_MAX: usize = 64;

/// What lets a connector in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Credentials {
    Microsoft(MicrosoftCredentials),
    Apple(AppleCredentials),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MicrosoftCredentials {
    #[serde(serialize_with = "secret_to_keep")]
    pub client_secret: StoreSecret,
}

/// One content token for each unit of the organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppleCredentials {
    #[serde(serialize_with = "secrets_to_keep")]
    pub content_tokens: Vec<StoreSecret>,
}

fn secret_to_keep<S: Serializer>(secret: &StoreSecret, file: S) -> Result<S::Ok, S::Error> {
    file.serialize_str(secret.reveal())
}

fn secrets_to_keep<S: Serializer>(secrets: &[StoreSecret], file: S) -> Result<S::Ok, S::Error> {
    file.collect_seq(secrets.iter().map(StoreSecret::reveal))
}

impl Credentials {
    /// Reads what was given for a provider. The error never quotes it.
    ///
    /// # Errors
    /// In words, when it is not what this provider needs.
    pub fn parse(provider: Provider, json: &[u8]) -> Result<Self, String> {
        if json.len() > BYTES_MAX {
            return Err(format!("credentials have at most {BYTES_MAX} bytes"));
        }
        let wanted = match provider {
            Provider::MicrosoftStore => r#"{"client_secret": "..."}"#,
            Provider::AppleBusiness => r#"{"content_tokens": ["..."]}"#,
            Provider::Declared => return Err("a declared inventory needs no credentials".into()),
        };
        // serde reads a list as the fields of an object in their order
        let is_object = json.trim_ascii_start().starts_with(b"{");
        let parsed = match provider {
            Provider::MicrosoftStore => serde_json::from_slice(json).map(Self::Microsoft).ok(),
            Provider::AppleBusiness => serde_json::from_slice(json).map(Self::Apple).ok(),
            Provider::Declared => None,
        };
        let credentials = parsed
            .filter(|_| is_object)
            .ok_or_else(|| format!("credentials of {} are written as {wanted}", provider.name()))?;
        let secrets = credentials.secrets();
        if secrets.is_empty() || secrets.len() > TOKENS_MAX {
            return Err(format!("between 1 and {TOKENS_MAX} content tokens are given"));
        }
        if secrets.iter().any(|secret| secret.reveal().trim().is_empty() || secret.reveal().len() > SECRET_BYTES_MAX) {
            return Err(format!("a secret has between 1 and {SECRET_BYTES_MAX} bytes"));
        }
        Ok(credentials)
    }

    fn secrets(&self) -> Vec<&StoreSecret> {
        match self {
            Self::Microsoft(microsoft) => vec![&microsoft.client_secret],
            Self::Apple(apple) => apple.content_tokens.iter().collect(),
        }
    }
}

/// The command that gave credentials: where in the tenant's log it stands, and whether it was judged before.
#[derive(Debug, Clone, Copy)]
pub struct GivenBy {
    pub position: u64,
    pub is_repeat: bool,
}

/// A file of ours. One that a person wrote has the credentials alone.
#[derive(Serialize)]
struct Kept<'c> {
    credentials: &'c Credentials,
    position: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptText<'f> {
    #[serde(borrow)]
    credentials: &'f RawValue,
    position: u64,
}

/// The credentials of a file, and where the command stands that gave them.
fn kept(file: &[u8]) -> (&[u8], Option<u64>) {
    match serde_json::from_slice::<KeptText<'_>>(file) {
        Ok(KeptText { credentials, position }) => (credentials.get().as_bytes(), Some(position)),
        Err(_) => (file, None),
    }
}

/// Where credentials come from; the first that has some is asked no further.
pub struct CredentialSource {
    pub folder: PathBuf,
    /// From the environment: JSON by `<tenant>/<provider>`.
    pub given: Option<Zeroizing<String>>,
    /// A command that is run with the tenant and the provider behind its arguments, and prints JSON.
    pub command: Option<Vec<String>>,
}

impl CredentialSource {
    /// `None` where there are none.
    ///
    /// # Errors
    /// In words, when there are some that can't be read.
    pub async fn load(&self, tenant: &str, provider: Provider) -> Result<Option<Credentials>, String> {
        if let Some(json) = self.in_environment(tenant, provider)? {
            return Credentials::parse(provider, json.as_bytes()).map(Some);
        }
        if let Some(json) = self.by_command(tenant, provider).await? {
            return Credentials::parse(provider, &json).map(Some);
        }
        let path = self.path(tenant, provider);
        let failed = |error| format!("{} can't be read: {error}", path.display());
        let blocking = path.clone();
        let file = tokio::task::spawn_blocking(move || read(&blocking)).await;
        let file = file.unwrap_or_else(|error| Err(std::io::Error::other(error))).map_err(failed)?;
        let Some(file) = file else { return Ok(None) };
        let parsed = Credentials::parse(provider, kept(&file).0);
        parsed.map(Some).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Keeps what was given in a file of its own, in the place of what was there. A command that is repeated puts nothing in
    /// the place of what came after it; it keeps what it failed to keep before. Blocking; one at a time for an account.
    ///
    /// # Errors
    /// What the disk said.
    pub fn keep(
        &self,
        tenant: &str,
        provider: Provider,
        credentials: &Credentials,
        by: GivenBy,
    ) -> std::io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let path = self.path(tenant, provider);
        if by.is_repeat
            && let Some(file) = read(&path)?
            && kept(&file).1.is_none_or(|position| position >= by.position)
        {
            return Ok(());
        }
        let aside = path.with_extension("new");
        let json = Zeroizing::new(serde_json::to_vec(&Kept { credentials, position: by.position })?);
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
        file.write_all(&json)?;
        file.sync_all()?;
        fs::rename(&aside, &path)?;
        File::open(&self.folder)?.sync_all()
    }

    fn path(&self, tenant: &str, provider: Provider) -> PathBuf {
        self.folder.join(format!("{tenant}.{}.json", provider.name()))
    }

    fn in_environment(&self, tenant: &str, provider: Provider) -> Result<Option<Zeroizing<String>>, String> {
        let Some(given) = &self.given else { return Ok(None) };
        let all: std::collections::BTreeMap<String, Box<serde_json::value::RawValue>> = serde_json::from_str(given)
            .map_err(|_| "the credentials in the environment are no JSON object".to_owned())?;
        Ok(all.get(&format!("{tenant}/{}", provider.name())).map(|json| Zeroizing::new(json.get().to_owned())))
    }

    /// Neither a thread nor a descriptor stays behind, whatever the command leaves running.
    async fn by_command(&self, tenant: &str, provider: Provider) -> Result<Option<Zeroizing<Vec<u8>>>, String> {
        let Some([program, arguments @ ..]) = self.command.as_deref() else { return Ok(None) };
        let failed = |error| format!("the command for credentials can't be run: {error}");
        let mut command = Command::new(program);
        command.args(arguments).args([tenant, provider.name()]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).kill_on_drop(true).spawn().map_err(failed)?;
        let stdout = child.stdout.take().ok_or("the command for credentials has no output")?.take(BYTES_MAX as u64 + 1);
        let mut printed = Zeroizing::new(Vec::new());
        let running = async {
            let mut reading = std::pin::pin!(read_all(stdout, &mut printed));
            tokio::select! {
                read = &mut reading => {
                    read?;
                    child.wait().await
                }
                // somebody whom it left behind may hold the pipe for good
                status = child.wait() => timeout(PIPE_MAX, reading).await.unwrap_or(Ok(())).and(status),
            }
        };
        let status = timeout(COMMAND_MAX, running)
            .await
            .map_err(|_| format!("the command for credentials took longer than {} s", COMMAND_MAX.as_secs()))?
            .map_err(failed)?;
        if !status.success() {
            return Err(format!("the command for credentials ended with {status}"));
        }
        Ok((!printed.trim_ascii().is_empty()).then_some(printed))
    }
}

/// What was read stays where this is left in the midst of it.
async fn read_all(mut pipe: impl AsyncRead + Unpin, into: &mut Vec<u8>) -> std::io::Result<()> {
    while pipe.read_buf(into).await? > 0 {}
    Ok(())
}

/// `None` where there is no such file.
fn read(path: &Path) -> std::io::Result<Option<Zeroizing<Vec<u8>>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Where credentials of this data folder lie.
#[must_use]
pub fn folder_of(data: &Path) -> PathBuf {
    data.join(FOLDER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const FIRST: GivenBy = GivenBy { position: 1, is_repeat: false };

    fn source(folder: &Path) -> CredentialSource {
        CredentialSource { folder: folder_of(folder), given: None, command: None }
    }

    #[tokio::test]
    async fn what_is_kept_is_read_again_by_nobody_else_and_shown_to_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let source = source(folder.path());
        assert_eq!(source.load("contoso", Provider::MicrosoftStore).await, Ok(None));
        let given = Credentials::parse(Provider::MicrosoftStore, br#"{"client_secret": "hush"}"#).unwrap();
        source.keep("contoso", Provider::MicrosoftStore, &given, FIRST).unwrap();
        assert_eq!(source.load("contoso", Provider::MicrosoftStore).await, Ok(Some(given.clone())));
        assert_eq!(source.load("other", Provider::MicrosoftStore).await, Ok(None));
        let mode = fs::metadata(source.path("contoso", Provider::MicrosoftStore)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!format!("{given:?}").contains("hush"));
    }

    #[tokio::test]
    async fn a_repeat_keeps_what_nobody_kept_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let source = source(folder.path());
        let secret = |text: &str| {
            Credentials::Microsoft(MicrosoftCredentials { client_secret: StoreSecret::from(text.to_owned()) })
        };
        let keep = async |text: &str, position, is_repeat| {
            let by = GivenBy { position, is_repeat };
            source.keep("contoso", Provider::MicrosoftStore, &secret(text), by).unwrap();
            source.load("contoso", Provider::MicrosoftStore).await.unwrap().unwrap()
        };
        assert_eq!(keep("old", 4, true).await, secret("old"), "the disk was full when it was given");
        assert_eq!(keep("new", 6, true).await, secret("new"), "and then again");
        assert_eq!(keep("old", 4, true).await, secret("new"));
        assert_eq!(keep("newer", 6, false).await, secret("newer"));
        let by_hand = r#"{"client_secret": "by hand"}"#;
        fs::write(source.path("contoso", Provider::MicrosoftStore), by_hand).unwrap();
        assert_eq!(keep("newer", 6, true).await, secret("by hand"));
    }

    #[test]
    fn what_can_not_be_read_is_never_quoted() {
        for (provider, text) in [
            (Provider::MicrosoftStore, r#"{"client_secret": 7}"#),
            (Provider::MicrosoftStore, r#"{"client_secret": "hush", "more": "hush"}"#),
            (Provider::MicrosoftStore, r#"{"client_secret": "  "}"#),
            (Provider::AppleBusiness, r#"{"content_tokens": []}"#),
            (Provider::AppleBusiness, r#"{"content_tokens": "hush"}"#),
            (Provider::Declared, r#"{"client_secret": "hush"}"#),
        ] {
            let said = Credentials::parse(provider, text.as_bytes()).unwrap_err();
            assert!(!said.contains("hush"), "{said}");
        }
    }

    #[tokio::test]
    async fn the_environment_comes_before_the_command_and_the_command_before_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut source = source(folder.path());
        let secret = |text: &str| {
            Credentials::Microsoft(MicrosoftCredentials { client_secret: StoreSecret::from(text.to_owned()) })
        };
        source.keep("contoso", Provider::MicrosoftStore, &secret("file"), FIRST).unwrap();
        let script = r#"[ "$1" = contoso ] && echo "{\"client_secret\": \"$1 $2\"}""#;
        source.command = Some(["sh", "-c", script, "sh"].map(str::to_owned).to_vec());
        assert_eq!(source.load("contoso", Provider::MicrosoftStore).await, Ok(Some(secret("contoso microsoft-store"))));
        let failed = source.load("fabrikam", Provider::MicrosoftStore).await.unwrap_err();
        assert!(failed.contains("exit status: 1"), "{failed}");
        source.given = Some(Zeroizing::new(r#"{"contoso/microsoft-store": {"client_secret": "env"}}"#.into()));
        assert_eq!(source.load("contoso", Provider::MicrosoftStore).await, Ok(Some(secret("env"))));
    }

    #[tokio::test]
    async fn a_command_is_over_when_it_ends_whoever_it_leaves_behind_with_its_output() {
        let folder = tempfile::tempdir().unwrap();
        let mut source = source(folder.path());
        let script = r#"sleep 120 & echo '{"client_secret": "hush"}'"#;
        source.command = Some(["sh", "-c", script, "sh"].map(str::to_owned).to_vec());
        let begun = crate::clock::monotonic();
        let loaded = source.load("contoso", Provider::MicrosoftStore).await;
        assert!(loaded.is_ok_and(|found| found.is_some()), "what it printed counts");
        assert!(begun.elapsed() < COMMAND_MAX / 2, "{:?}", begun.elapsed());
    }
}
