//! What belongs to one process. After a fork the child has no thread that delivers, and its parent's buffer,
//! locks and connection are not its own: it begins anew.

use crate::courier::Courier;
use crate::http::Http;
use crate::listeners::Listeners;
use crate::settings::{Connection, SettingError, TelemetrySettings};
use crate::spool::Spool;
use crate::{delivery::Rules, evaluation_id};
use std::sync::{Arc, OnceLock};

/// How a client was set up.
pub(super) struct Plan {
    pub(super) connection: Connection,
    pub(super) telemetry: TelemetrySettings,
    pub(super) rules: Rules,
    pub(super) listeners: Arc<Listeners>,
}

/// The courier of one process, and perhaps that of its child after a fork.
pub(super) struct Process {
    id: u32,
    courier: Arc<Courier>,
    child: OnceLock<Box<Process>>,
}

impl Process {
    /// Begins in this process; an error if the spool can't be opened or the thread not be started.
    pub(super) fn begin(plan: &Plan) -> Result<Self, SettingError> {
        let (process, spool_error) = Self::prepare(plan);
        if let Some(error) = spool_error {
            return Err(error);
        }
        process.start().map_err(|error| {
            SettingError::new("telemetry", format!("its thread can't be started: {error}"))
        })?;
        Ok(process)
    }

    fn prepare(plan: &Plan) -> (Self, Option<SettingError>) {
        let (spool, error) = match open_spool(&plan.telemetry) {
            Ok(spool) => (spool, None),
            Err(error) => (None, Some(error)),
        };
        let courier = Courier::new(
            Http::new(&plan.connection),
            Arc::clone(&plan.listeners),
            plan.connection.request_timeout,
            plan.rules.clone(),
            spool,
        );
        let process = Self {
            id: std::process::id(),
            courier: Arc::new(courier),
            child: OnceLock::new(),
        };
        (process, error)
    }

    fn start(&self) -> std::io::Result<()> {
        let courier = Arc::clone(&self.courier);
        let thread = std::thread::Builder::new().name("repute-client".to_owned());
        thread.spawn(move || courier.run()).map(drop)
    }

    /// The courier of the process that asks.
    pub(super) fn courier(&self, plan: &Plan) -> &Arc<Courier> {
        let id = std::process::id();
        let mut process = self;
        while process.id != id {
            process = process
                .child
                .get_or_init(|| Box::new(Self::begin_after_fork(plan)));
        }
        &process.courier
    }

    /// What can't be had in the child is done without: `track` has nobody to tell an error to but the books.
    fn begin_after_fork(plan: &Plan) -> Self {
        let (process, error) = Self::prepare(plan);
        let warnings = [
            error.map(|error| error.to_string()),
            process.start().err().map(|error| error.to_string()),
        ];
        for warning in warnings.into_iter().flatten() {
            process.courier.warn(warning);
        }
        process
    }

    /// The same, if it has begun.
    pub(super) fn existing(&self) -> Option<&Courier> {
        let id = std::process::id();
        let mut process = self;
        while process.id != id {
            process = process.child.get()?;
        }
        Some(&process.courier)
    }
}

fn open_spool(telemetry: &TelemetrySettings) -> Result<Option<Spool>, SettingError> {
    let Some(dir) = &telemetry.spool_dir else {
        return Ok(None);
    };
    let wrong = |error: String| SettingError::new("spool_dir", format!("can't be opened: {error}"));
    let owner = evaluation_id::make(|bytes| getrandom::fill(bytes).is_ok())
        .ok_or_else(|| wrong("no random source".to_owned()))?;
    Spool::open(dir, telemetry.max_spool_bytes, &owner)
        .map(Some)
        .map_err(|error| wrong(error.to_string()))
}
