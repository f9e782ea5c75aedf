//! `latch cap write-issue`, `latch cap write-narrow` and `latch cap write-verify`

use std::path::{Path, PathBuf};

use caps::writecap::{self, Authority, CHAIN_LIMIT_BYTES, Chain, ChainError, Grant};
use caps::{Act, Principal, PublicKey, Rights};
use clap::{Args, ValueEnum};

use super::give::{Outside, about};
use super::{Context, describe, keys, parse};
use crate::failure::{Failure, Outcome};
use crate::hosted::node_id;
use crate::node::Node;
use crate::text::{escape, time};
use crate::{json, store};

/// Gives somebody what they write a file or folder of the store with, elsewhere
///
/// It cannot be taken back before it expires: keep it short, and give it anew. Its holder can give others the same or less.
#[derive(Debug, Args)]
pub(crate) struct WriteIssue {
    /// Such as storage:/notes
    #[arg(value_name = "PLACE", value_parser = parse::stored)]
    path: String,
    #[command(flatten)]
    given: Given,
}

/// Gives somebody the same as you were given to write with, or less
///
/// It is signed by your key, and nobody else is needed for it, no node either.
#[derive(Debug, Args)]
pub(crate) struct WriteNarrow {
    /// What you were given
    #[arg(value_name = "WRITECAP")]
    writecap: PathBuf,
    /// Your key [default: that of `latch cap writer-key`]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// A node within it: the ids from the root on, such as /0123…/4567… [default: the same]
    #[arg(long, value_name = "IDS", value_parser = ids)]
    at: Option<caps::Path>,
    #[command(flatten)]
    given: Given,
}

/// Verifies a writecap: every link, from the store's own key on
///
/// Exit code 0: its holder may do that; 1: the first link that is wrong is named. No node is needed.
#[derive(Debug, Args)]
pub(crate) struct WriteVerify {
    /// What you were given
    #[arg(value_name = "WRITECAP")]
    writecap: PathBuf,
    /// The store's root principal: what `latch cap issue` and `latch store` call the store
    #[arg(long, value_name = "PRINCIPAL", value_parser = parse::key)]
    root: [u8; 32],
    /// What is to be done [default: what it allows, whatever that is]
    #[arg(long, value_enum)]
    act: Option<Doing>,
    /// Where: the ids from the root on, such as /0123…/4567… [default: where it is for]
    #[arg(long, value_name = "IDS", value_parser = ids)]
    at: Option<caps::Path>,
}

/// What is given to whom.
#[derive(Debug, Args)]
struct Given {
    /// The public half of their key, from `latch cap writer-key`
    #[arg(long = "to", value_name = "KEY", value_parser = parse::key)]
    holder: [u8; 32],
    /// What they may do; write comes with append
    #[arg(long, value_enum, value_delimiter = ',', required = true)]
    rights: Vec<Doing>,
    /// How long it holds, such as 7d
    #[arg(long, value_name = "TIME", value_parser = parse::span)]
    expires: u64,
    /// The file to make [default: here, called like the place]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Doing {
    /// See
    Read,
    /// Make what was not there
    Append,
    /// Change what is there
    Write,
}

impl Doing {
    const fn act(self) -> Act {
        match self {
            Doing::Read => Act::Read,
            Doing::Append => Act::Append,
            Doing::Write => Act::Write,
        }
    }
}

impl Given {
    fn rights(&self) -> Rights {
        let has = |doing| self.rights.contains(&doing);
        Rights { read: has(Doing::Read), append: has(Doing::Append), write: has(Doing::Write) }.complete()
    }
}

/// A path of ids.
fn ids(text: &str) -> Result<caps::Path, String> {
    let wrong = || "write the ids from the root on, 32 hexadecimal digits each: /0123…/4567…".to_owned();
    let ids = text.strip_prefix('/').ok_or_else(wrong)?.split('/').map(node_id).collect::<Option<Vec<_>>>();
    caps::Path::new(&ids.ok_or_else(wrong)?).map_err(|error| error.to_string())
}

pub(super) async fn issue(context: &Context, node: &Node, command: WriteIssue) -> Outcome {
    let WriteIssue { path, given } = command;
    let outside = Outside::of(node).await?;
    let rights = given.rights();
    let mut request = outside.caps.issue_writecap_request();
    request.get().set_path(path.as_bytes());
    request.get().set_holder(&given.holder);
    request.get().set_expires_at_ms(parse::to_wire(parse::expiry(Some(given.expires))));
    let wire = vat::Rights { read: rights.read, append: rights.append, write: rights.write };
    wire.write_to(request.get().init_rights());
    let answer = store::ask(request.send()).await.map_err(|failure| about("give", &path, failure))?;
    let bytes = answer.get()?.get_writecap()?;
    let file = parse::file_for(given.out, &path, "writecap");
    let chain = Chain::decode(bytes).map_err(|error| parse::refused(&file, error))?;
    written(context.json, &chain, &file)
}

pub(super) fn narrow(json: bool, command: &WriteNarrow) -> Outcome {
    let path = &command.writecap;
    let chain = read(path, &parse::read(path, CHAIN_LIMIT_BYTES)?)?;
    // Who passes on what is worth nothing would learn of it from others.
    let own = chain.path().cloned().ok_or_else(|| parse::refused(path, "it has no links"))?;
    allowed(&chain, &chain.root(), &own, None).map_err(|error| refused(path, error))?;
    let signer = keys::load_writer(command.key.as_deref())?;
    let given = &command.given;
    let grant = Grant {
        holder: PublicKey(given.holder),
        path: command.at.clone().unwrap_or(own),
        rights: given.rights(),
        expires_ms: parse::expiry(Some(given.expires)),
    };
    let narrower = writecap::issue(&chain, grant, &signer).map_err(|error| {
        let failure = Failure::new("nothing was given").because(error);
        match error {
            writecap::IssueError::NotTheHolder => {
                failure.next("--key names the file with the key that it was given to")
            }
            writecap::IssueError::Refused(_) => {
                failure.next(format!("latch cap write-verify {} --root {}", path.display(), chain.root()))
            }
            writecap::IssueError::NotSigned(_) => failure,
        }
    })?;
    let file = parse::file_for(given.out.clone(), "narrowed", "writecap");
    written(json, &narrower, &file)
}

/// Writes a chain and tells of it.
fn written(json: bool, chain: &Chain, file: &Path) -> Outcome {
    let path = chain.path().cloned().ok_or_else(|| parse::refused(file, "it has no links"))?;
    let authority = allowed(chain, &chain.root(), &path, None).map_err(|error| refused(file, error))?;
    parse::write_new(file, &chain.encode())?;
    let words = format!("wrote {}, {}\n  store: {}", escape::path(file), told(&authority), chain.root());
    json::done(json, &words, &value(chain, &authority, Some(file)))
}

pub(super) fn verify(json: bool, command: &WriteVerify) -> Outcome {
    let bytes = parse::read(&command.writecap, CHAIN_LIMIT_BYTES)?;
    let root = Principal(command.root);
    verify_bytes(json, &command.writecap, &bytes, &root, command.at.as_ref(), command.act.map(Doing::act))
}

/// Also of `latch cap verify`.
pub(super) fn verify_bytes(
    json: bool,
    file: &Path,
    bytes: &[u8],
    root: &Principal,
    at: Option<&caps::Path>,
    act: Option<Act>,
) -> Outcome {
    let chain = read(file, bytes)?;
    let own = chain.path().cloned().ok_or_else(|| parse::refused(file, "it has no links"))?;
    let authority = allowed(&chain, root, at.unwrap_or(&own), act).map_err(|error| refused(file, error))?;
    json::done(json, &format!("a writecap, {}", told(&authority)), &value(&chain, &authority, None))
}

fn read(file: &Path, bytes: &[u8]) -> Outcome<Chain> {
    Chain::decode(bytes).map_err(|error| refused(file, error))
}

/// What it allows there: that act, or any at all.
fn allowed(chain: &Chain, root: &Principal, path: &caps::Path, act: Option<Act>) -> Result<Authority, ChainError> {
    let verify = |act| writecap::verify(chain, root, path, act, time::now_ms());
    match act {
        Some(act) => verify(act),
        // A chain that is wrong is so for each of them.
        None => verify(Act::Read).or_else(|_| verify(Act::Append)),
    }
}

/// People count links from 1.
fn refused(file: &Path, error: ChainError) -> Failure {
    let failure = match error.link {
        Some(link) => parse::refused(file, format!("link {}: {}", u32::from(link) + 1, error.fault)),
        None => parse::refused(file, error),
    };
    match error.fault {
        caps::writecap::ChainFault::Expired => failure.next("ask whoever gave it for a new one"),
        _ => failure,
    }
}

fn told(authority: &Authority) -> String {
    format!(
        "for {}: {}\n  node: {}\n  {}",
        authority.holder,
        describe::rights(authority.rights),
        describe::path(&authority.path),
        describe::expiry(authority.expires_ms),
    )
}

fn value(chain: &Chain, authority: &Authority, file: Option<&Path>) -> serde_json::Value {
    serde_json::json!({
        "file": file.map(Path::to_string_lossy),
        "root": chain.root().to_string(),
        "holder": authority.holder.to_string(),
        "node": describe::path(&authority.path),
        "rights": {
            "read": authority.rights.read,
            "append": authority.rights.append,
            "write": authority.rights.write,
        },
        "expires_at_ms": describe::expiry_at_ms(authority.expires_ms),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use caps::{LocalSigner, NodeId, Signer as _};

    #[test]
    fn ids_are_paths() {
        let text = format!("/{}/{}", "01".repeat(16), "ab".repeat(16));
        assert_eq!(describe::path(&ids(&text).unwrap()), text);
        for bad in ["", "/", "notes", "/01", &format!("/{}", "00".repeat(16)), &format!("/{}/", "01".repeat(16))] {
            assert!(ids(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_chain_is_said_with_its_link() {
        let (root, holder) = (LocalSigner::from_seed(&[1; 32]), LocalSigner::from_seed(&[2; 32]));
        let path = caps::Path::new(&[NodeId([7; 16])]).unwrap();
        let grant = |expires_ms, rights| Grant { holder: holder.public_key(), path: path.clone(), rights, expires_ms };
        let append = Rights { read: false, append: true, write: false };
        let over = writecap::issue_first(grant(1, append), &root).unwrap();
        let holds = writecap::issue_first(grant(u64::MAX, append), &root).unwrap();
        let principal = root.public_key().principal();
        let told = |chain: &Chain, act| {
            let result = verify_bytes(true, Path::new("x"), &chain.encode(), &principal, None, act);
            result.err().map(|failure| failure.to_string())
        };
        assert_eq!(
            told(&over, None).unwrap(),
            "latch: x is refused: link 1: its time is over\n  next: ask whoever gave it for a new one"
        );
        assert_eq!(told(&holds, Some(Act::Write)).unwrap(), "latch: x is refused: link 1: it does not allow this");
        let mut forged = holds.encode();
        let last = forged.len() - 1;
        forged[last] ^= 1;
        let failure = verify_bytes(true, Path::new("x"), &forged, &principal, None, None).unwrap_err();
        assert!(failure.to_string().contains("link 1: it was not signed by its issuer"), "{failure}");
        let other = verify_bytes(true, Path::new("x"), &holds.encode(), &Principal([0; 32]), None, None).unwrap_err();
        assert!(other.to_string().contains("the chain: it begins with another store's key"), "{other}");
    }
}
