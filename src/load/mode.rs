//! What happens in each mode, step by step.

use super::clock::{Effort, seconds};
use super::plan::{Dialect, Mode};
use super::report::{Progress, Report, per_second};
use super::run::Run;

/// Messages published while all connections are away.
const MISSED: u64 = 10;

impl Run<'_> {
    pub fn measure(mut self) -> anyhow::Result<Report> {
        self.connect()?;
        match self.plan.mode {
            Mode::Connect => self.idle_for(self.plan.duration)?,
            Mode::FanOut => self.fan_out()?,
            Mode::Reconnect => self.reconnect()?,
        }
        Ok(self.reported())
    }

    fn fan_out(&mut self) -> anyhow::Result<()> {
        self.settle()?;
        self.publish_for(self.plan.warm_up)?;
        self.tell(Progress::Measuring);
        let began = self.count_from_here();
        let effort = Effort::begin();
        self.publish_for(self.plan.duration)?;
        self.drain()?;
        (self.report.client_cpu_seconds, self.report.client_cpu_share) = effort.since();
        self.tell(Progress::Measured);
        self.report.seconds = seconds(began, self.tools.tally.last_arrival);
        self.report.latency_ms = self.tools.tally.latency.summary();
        Ok(())
    }

    /// Everybody has the first message, misses some, and comes back for them.
    fn reconnect(&mut self) -> anyhow::Result<()> {
        let resumes = self.plan.dialect == Dialect::Statshub;
        if resumes {
            self.settle()?;
            self.publish_in_turn(1)?;
            self.drain()?;
        }
        let last_event_id = self.last_id.take();
        self.readers.drop_all(last_event_id);
        self.count_from_here();
        if resumes {
            self.publish_in_turn(MISSED)?;
        }
        let effort = Effort::begin();
        let began = self.now();
        self.readers.come_back(began);
        self.open_all()?;
        self.drain()?;
        (self.report.client_cpu_seconds, self.report.client_cpu_share) = effort.since();
        let done = self.readers.opened_at.max(self.tools.tally.last_arrival);
        self.report.seconds = seconds(began, done);
        self.report.reconnect_seconds = Some(self.report.seconds);
        Ok(())
    }

    fn count_from_here(&mut self) -> u64 {
        self.tools.tally.count_from_here();
        self.now()
    }

    fn reported(mut self) -> Report {
        let tally = &self.tools.tally;
        let report = &mut self.report;
        report.published = tally.published();
        report.delivered = tally.delivered;
        report.deliveries_per_second = per_second(tally.delivered, report.seconds);
        report.received_bytes = tally.received_bytes;
        report.missing = tally.missing();
        report.duplicates = tally.duplicates;
        report.out_of_order = tally.out_of_order;
        report.lost = self.readers.lost;
        report.retries = self.readers.retries;
        report.trouble = self.readers.trouble();
        self.report
    }
}
