//! `ze show workers`.

use ze_proto::v1::Stats;
use ze_tui::rates::{QueueRates, Rates, Verdict, WorkerRates};
use ze_tui::units;

use crate::error::Error;
use crate::output::{Page, Paint, Style};
use crate::table::{Cell, Table, left, right};

/// Workers with their queues. JSON is [`WorkerRates`] as it stands.
///
/// # Errors
/// When the daemon was restarted between the two samples.
pub(super) fn page(stats: &Stats, rates: Option<&Rates>, paint: Paint) -> Result<Page, Error> {
    if stats.workers.is_empty() {
        return Page::new(&[(); 0], "There are no workers: no port is in use.\n");
    }
    let Some(rates) = rates else {
        return Err(Error::new(
            "ze-fastpath was restarted just now, so there are no rates yet",
            "Ask again.",
        ));
    };
    let text = format!("{}\n{}", workers(&rates.workers, paint), queues(&rates.workers, paint));
    Page::new(&rates.workers, text)
}

fn workers(workers: &[WorkerRates], paint: Paint) -> String {
    let mut table = Table::new(&[
        right("WORKER"),
        left("CORE"),
        right("RX pps"),
        right("RX bit/s"),
        right("TX pps"),
        right("TX bit/s"),
        right("DROP/s"),
        right("PKT/BATCH"),
        right("CYC/PKT"),
        right("IDLE"),
        right("FREE FRAMES"),
        left("LAW"),
    ]);
    let maybe =
        |value: Option<f64>, text: fn(f64) -> String| Cell::from(value.map_or_else(|| "-".to_owned(), text));
    for worker in workers {
        let core =
            if worker.pinned { worker.core.to_string() } else { format!("{} (not pinned)", worker.core) };
        table.row([
            worker.worker.to_string().into(),
            Cell::styled(core, if worker.pinned { Style::Plain } else { Style::Warning }),
            units::rate(worker.rx_packets_per_s).into(),
            units::rate(worker.rx_bits_per_s).into(),
            units::rate(worker.tx_packets_per_s).into(),
            units::rate(worker.tx_bits_per_s).into(),
            units::rate(worker.drop_packets_per_s).into(),
            maybe(worker.packets_per_batch, |p| format!("{p:.1}")),
            maybe(worker.cycles_per_packet, |c| format!("{c:.0}")),
            maybe(worker.idle_share, units::percent),
            units::count(worker.pool_free_frames).into(),
            verdict(worker.law.verdict),
        ]);
    }
    table.render(paint)
}

/// The verdict with its colour.
pub(super) fn verdict(verdict: Verdict) -> Cell {
    let style = match verdict {
        Verdict::Holds | Verdict::InFlight => Style::Good,
        Verdict::Broken => Style::Bad,
    };
    Cell::styled(verdict.words(), style)
}

fn queues(workers: &[WorkerRates], paint: Paint) -> String {
    let mut table = Table::new(&[
        right("WORKER"),
        left("PORT"),
        right("QUEUE"),
        right("RX pps"),
        right("TX pps"),
        right("FILL"),
        right("TX RING"),
        right("OF"),
        right("STARVED"),
        right("TX FULL"),
        right("ERRORS"),
    ]);
    for worker in workers {
        for queue in &worker.queues {
            table.row(queue_row(worker.worker, queue));
        }
    }
    table.render(paint)
}

fn queue_row(worker: u32, queue: &QueueRates) -> [Cell; 11] {
    let low = queue.fill_level_frames < queue.ring_size_frames / 8;
    [
        worker.to_string().into(),
        queue.port.as_str().into(),
        queue.queue.to_string().into(),
        units::rate(queue.rx_packets_per_s).into(),
        units::rate(queue.tx_packets_per_s).into(),
        Cell::styled(queue.fill_level_frames.to_string(), if low { Style::Warning } else { Style::Plain }),
        queue.tx_level_frames.to_string().into(),
        queue.ring_size_frames.to_string().into(),
        Cell::trouble(queue.fill_starved),
        Cell::trouble(queue.tx_ring_full),
        Cell::trouble(queue.errors),
    ]
}
