//! Takes the end of every process of the sandbox: executions, and orphans that nobody else waits for.

use std::{io, os::fd::OwnedFd, sync::Arc};

use tokio::io::Interest;

use crate::{executions::Executions, sys};

/// Size of one `signalfd_siginfo`.
const SIGNAL_BYTES: usize = 128;

/// Ends only when the kernel refuses. An execution is registered before this runs again, since starting one
/// happens on the same thread in one go.
pub(crate) async fn reap_forever(child_signals: OwnedFd, executions: Arc<Executions>) -> io::Result<()> {
    let child_signals = sys::watch(child_signals, Interest::READABLE)?;
    loop {
        let mut ready = child_signals.readable().await?;
        match rustix::io::read(child_signals.get_ref(), &mut [0_u8; SIGNAL_BYTES]) {
            // Signals of one kind do not queue: after one there is none until the next arrives.
            Ok(_) | Err(rustix::io::Errno::AGAIN) => ready.clear_ready(),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        while let Some(reaped) = sys::reap_any()? {
            executions.reaped(&reaped);
        }
    }
}
