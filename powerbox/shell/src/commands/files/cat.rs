//! `latch cat`

use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::Args;
use vat::Rights;

use super::progress::Progress;
use super::{Context, TARGET_HELP, open, open_file, sink};
use crate::failure::Outcome;
use crate::node::Node;
use crate::text::filter::Filter;

/// Prints files
///
/// On a terminal only text and colours pass; into a pipe every byte goes as it is.
#[derive(Debug, Args)]
#[command(after_help = TARGET_HELP)]
pub(crate) struct Cat {
    target: String,
    #[arg(required = true)]
    paths: Vec<PathBuf>,
}

pub(crate) async fn run(context: &Context, node: &Node, command: Cat) -> Outcome {
    let opened = open(context, node, &command.target, Rights::READ).await?;
    for path in &command.paths {
        let file = open_file(&opened.object, path, Rights::READ).await?;
        if std::io::stdout().is_terminal() {
            sink::receive(&file, &opened.exports, Shown::default(), Progress::none()).await?;
        } else {
            sink::receive(&file, &opened.exports, std::io::stdout(), Progress::none()).await?;
        }
    }
    Ok(())
}

/// Standard output that is a terminal.
#[derive(Default)]
struct Shown {
    filter: Filter,
}

impl std::io::Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        std::io::stdout().write_all(&self.filter.pass(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stdout().write_all(&self.filter.finish())?;
        std::io::stdout().flush()
    }
}
