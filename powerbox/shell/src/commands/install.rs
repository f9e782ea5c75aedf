//! `latch install`

use std::path::{Path, PathBuf};

use clap::Args;

use super::Context;
use crate::failure::Outcome;
use crate::node::Node;
use crate::rows::Package;
use crate::text::table::{Table, column, number, wide};
use crate::text::{escape, time, words};
use crate::{folder, json, output};

/// As many digits of an author's key as people compare by eye.
pub(crate) const KEY_SHOWN_DIGITS: usize = 12;

/// Installs a package; without one, lists what is installed
///
/// Before a byte is kept, it is checked who signed it and that nothing in it was changed.
/// Installing gives an app nothing: it gets what you grant it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  latch install                          what is installed
  latch install search.latch
  latch install --trust search.latch     and take this author's packages from now on
  latch trust search.latch --name ada    what you call the author")]
pub(crate) struct Install {
    /// The package
    #[arg(value_name = "FILE.latch")]
    file: Option<PathBuf>,
    /// Takes this author's packages from now on
    #[arg(long, requires = "file")]
    trust: bool,
}

pub(crate) async fn run(context: &Context, node: &Node, command: Install) -> Outcome {
    let Some(file) = command.file else { return list(context, node).await };
    let (package, replaced) = install(node, &file, command.trust).await?;
    if context.json {
        return json::print(&package);
    }
    output::text(&describe(&package, &replaced))
}

/// Installs a file; also used by `run`.
pub(crate) async fn install(node: &Node, file: &Path, trust: bool) -> Outcome<(Package, String)> {
    let token = folder::send_file(node, file).await?;
    node.install(token, trust).await
}

fn describe(package: &Package, replaced: &str) -> String {
    let mut text = format!(
        "installed {} {}, signed by {}\n",
        escape::line(&package.name),
        escape::line(&package.version),
        author(package)
    );
    if !replaced.is_empty() {
        text.push_str(&format!("in place of {}\n", escape::line(replaced)));
    }
    if package.requests.is_empty() {
        text.push_str("it asks for nothing\n");
    } else {
        text.push_str("it may ask for:\n");
    }
    for asked in &package.requests {
        let (label, interface, reason) =
            (escape::line(&asked.label), escape::line(&asked.interface_name), escape::quoted(&asked.reason));
        text.push_str(&format!(
            "  {label}: a {interface}, {} (the author says: {reason})\n",
            words::rights(asked.rights)
        ));
    }
    text
}

/// The author as the person calls them; else as much of the key as people compare by eye, with the author's own words
/// marked as such.
fn author(package: &Package) -> String {
    if !package.author_petname.is_empty() {
        return escape::line(&package.author_petname);
    }
    let key = &package.author[..package.author.len().min(KEY_SHOWN_DIGITS)];
    if package.author_name.is_empty() {
        key.to_owned()
    } else {
        format!("{key}, who calls themselves {}", escape::quoted(&package.author_name))
    }
}

async fn list(context: &Context, node: &Node) -> Outcome {
    let packages = node.packages().await?;
    if context.json {
        return json::print(&packages);
    }
    if packages.is_empty() {
        return output::line(&context.state.told("nothing is installed; `latch install FILE.latch`"));
    }
    let columns = [
        column("NAME"),
        column("VERSION"),
        wide("AUTHOR"),
        column("MAY ASK FOR"),
        number("SIZE"),
        number("INSTALLED"),
        wide("THE AUTHOR SAYS"),
    ];
    let mut table = Table::new(&columns);
    for package in &packages {
        let asks: Vec<&str> = package.requests.iter().map(|asked| asked.label.as_str()).collect();
        table.row([
            &package.name,
            &package.version,
            &author(package),
            &asks.join(","),
            &time::size(package.bytes),
            &package.installed_at_ms.map_or_else(String::new, |at| time::age(at, time::now_ms())),
            &package.description,
        ]);
    }
    output::text(&table.for_stdout())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authors_own_name_is_never_the_systems_word() {
        let mut package = Package {
            name: "evil".into(),
            version: "1.0.0".into(),
            description: String::new(),
            author: "3b6a27bcceb6a42d62a3a8d02a6f0d73".into(),
            author_name: "the Latchkey project”, checked by this node".into(),
            author_petname: String::new(),
            trusted: true,
            digest: String::new(),
            bytes: 0,
            installed_at_ms: None,
            requests: Vec::new(),
        };
        let quoted = r#"3b6a27bcceb6, who calls themselves "the Latchkey project\u{201d}, checked by this node""#;
        assert_eq!(author(&package), quoted);
        package.author_petname = "ada".into();
        assert_eq!(author(&package), "ada");
    }
}
