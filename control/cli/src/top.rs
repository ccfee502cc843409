//! `ze top`: the live screen, one page of it, or its figures as JSON.

use std::io::IsTerminal;

use ze_proto::endpoint::Address;
use ze_proto::v1::{Stats, WatchStatsRequest};
use ze_tui::rates::Rates;
use ze_tui::theme::Theme;
use ze_tui::{Options, View};

use crate::args::{Format, TopArgs, TopView};
use crate::client::{self, answer};
use crate::error::Error;
use crate::output::Output;

/// A page without a terminal around it.
const PAGE: (u16, u16) = (100, 40);

/// Runs `ze top`.
///
/// # Errors
/// When there is no terminal, or the daemon does not answer where it must.
pub async fn run(daemon: &Address, args: &TopArgs, out: &mut Output) -> Result<(), Error> {
    if out.format == Format::Json {
        return figures(daemon, args, out).await;
    }
    let options = Options {
        daemon: daemon.clone(),
        interval: args.interval,
        view: view(args.view),
        theme: Theme { color: out.paint.on },
    };
    if args.once {
        // A clear message when nobody is there; the feed behind the page would only say why in a word.
        drop(client::connect(daemon).await?);
        let (width, height) = size();
        let page = ze_tui::once(options, width, height).await.map_err(|reason| Error::new(reason, ""))?;
        out.text(&page)?;
        return out.flush();
    }
    if !(out.terminal && std::io::stdin().is_terminal()) {
        return Err(Error::new(
            "ze top needs a terminal",
            "`ze top --once` prints one page, `ze -o json top` figures.",
        ));
    }
    ze_tui::run(options)
        .await
        .map_err(|error| Error::new(format!("the terminal can not be used: {error}"), ""))
}

/// Rates as one document a line; one only with `--once`.
async fn figures(daemon: &Address, args: &TopArgs, out: &mut Output) -> Result<(), Error> {
    let mut client = client::connect(daemon).await?;
    let interval_ms = u32::try_from(args.interval.as_millis()).unwrap_or(u32::MAX);
    let mut samples = answer(client.watch_stats(WatchStatsRequest { interval_ms })).await?;
    let mut older: Option<Stats> = None;
    while let Some(newer) = samples.message().await? {
        if let Some(rates) = older.as_ref().and_then(|older| Rates::between(older, &newer)) {
            out.line(&rates)?;
            if args.once {
                return Ok(());
            }
        }
        older = Some(newer);
    }
    Err(Error::new("ze-fastpath ended the stream", "`systemctl status ze-fastpath` says why."))
}

const fn view(view: TopView) -> View {
    match view {
        TopView::Workers => View::Workers,
        TopView::Nodes => View::Nodes,
        TopView::Ports => View::Ports,
        TopView::Drops => View::Drops,
        TopView::Interfaces => View::Interfaces,
    }
}

/// The size of a page: what the environment says, or a good one.
fn size() -> (u16, u16) {
    let of = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok()).filter(|n| *n > 0);
    (of("COLUMNS").unwrap_or(PAGE.0), of("LINES").unwrap_or(PAGE.1))
}
