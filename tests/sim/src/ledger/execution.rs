//! What must be true when an execution's row changes.

use std::time::Duration;

use sentinal_controller::{ExecutionRecord, ExecutionState, Output, OutputPlace};
use sentinal_model::{Ended, ExecutionOutcome, Phase, Stream, limits};

use super::{Known, Ledger};
use crate::{outputs::file, program::Program, world::lock};

/// How long after its timeout the controller may give an execution up.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(5);

impl Ledger {
    pub(super) fn execution(&self, record: &ExecutionRecord) -> Result<(), String> {
        let known = lock(&self.books).executions.get(&record.id).cloned();
        let since = known.as_ref().map_or_else(|| self.world.elapsed(), |known| known.since);
        if let Some(known) = known.filter(|known| known.record.state != ExecutionState::Running) {
            // One that is finished in the store stays as it is.
            let same = known.record.state == record.state || record.state == ExecutionState::Running;
            return if same { Ok(()) } else { Err(format!("{} ends a second time, differently", record.id)) };
        }
        match &record.state {
            ExecutionState::Running => self.begins_in(record)?,
            ExecutionState::Finished { ended, stdout, stderr, .. } => {
                let age = self.world.elapsed().saturating_sub(since);
                let whole = self.ended(record, *ended, age)?;
                self.output(record, (Stream::Stdout, stdout), whole)?;
                self.output(record, (Stream::Stderr, stderr), whole)?;
            }
        }
        let mut books = lock(&self.books);
        books.executions.insert(record.id, Known { record: record.clone(), since });
        let own = books.executions.values().map(|known| &known.record).filter(|other| other.sandbox == record.sandbox);
        let running = own.filter(|other| other.state == ExecutionState::Running).count();
        if running <= limits::EXECUTIONS_RUNNING_MAX {
            return Ok(());
        }
        Err(format!("{} runs {running} executions", record.sandbox))
    }

    fn begins_in(&self, record: &ExecutionRecord) -> Result<(), String> {
        match self.find(&record.sandbox).map(|sandbox| (sandbox.pooled, sandbox.phase)) {
            // It ran when somebody asked.
            Some((None, Phase::Running(_) | Phase::Paused(_) | Phase::Stopping(..))) => Ok(()),
            found => Err(format!("{} begins in {}, which is {found:?}", record.id, record.sandbox)),
        }
    }

    /// An end is what really happened. Answers whether all output must be there.
    fn ended(&self, record: &ExecutionRecord, ended: Ended, age: Duration) -> Result<bool, String> {
        let truth = self.machine.truth(record.id);
        let patience = record.command.timeout + GIVEN_UP_AFTER;
        let over = |after| after <= age || record.created_at.after(after) <= self.world.latest();
        let (given_up, has_no_time) = (over(patience), over(record.command.timeout));
        let sandbox = self.find(&record.sandbox).map(|sandbox| sandbox.phase);
        let untold = lock(&self.books).untold.contains(&record.id);
        let sandbox_ends = matches!(sandbox, Some(Phase::Stopping(..) | Phase::Finished(_)) | None);
        let is_true = match ended.outcome {
            ExecutionOutcome::Exited(_) | ExecutionOutcome::Signaled(_) => truth.outcome == Some(ended.outcome),
            ExecutionOutcome::Timeout => truth.outcome == Some(ended.outcome) || given_up,
            // One that was never started was taken back, or its time was over before it could be.
            ExecutionOutcome::Killed => sandbox_ends || truth.starts == 0 && (untold || has_no_time),
            ExecutionOutcome::Oom => sandbox_ends,
        };
        if is_true {
            return Ok(matches!(ended.outcome, ExecutionOutcome::Exited(_)));
        }
        let outcome = ended.outcome;
        Err(format!("{} is said to have ended {outcome:?} in {sandbox:?}; the truth is {truth:?}", record.id))
    }

    /// Output is safe before the end is written down, and is what the program wrote.
    fn output(&self, record: &ExecutionRecord, (stream, output): (Stream, &Output), whole: bool) -> Result<(), String> {
        let program = Program::parse(&record.command.argv).map_err(|error| error.to_string())?;
        let stored = usize::try_from(output.bytes_stored).unwrap_or(usize::MAX);
        let bytes = match &output.place {
            OutputPlace::Row(bytes) => bytes.clone(),
            OutputPlace::File => self.outputs.synced(file(record.id, stream)),
        };
        let what = || format!("{} of {}", stream.as_str(), record.id);
        let Some(bytes) = bytes.get(..stored) else {
            return Err(format!("{}: of {stored} bytes {} are safe", what(), bytes.len()));
        };
        if !program.wrote(stream, 0, bytes) {
            return Err(format!("{}: other bytes than the program wrote", what()));
        }
        if whole && output.bytes_stored != program.length(stream) {
            return Err(format!("{}: {stored} bytes of {}", what(), program.length(stream)));
        }
        Ok(())
    }
}
