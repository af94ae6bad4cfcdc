//! `repute verify`: is what lies on disk what was written?

use crate::data_dir::no_organisation;
use crate::logging::{self, LogFormat};
use crate::open_files;
use crate::place::Place;
use anyhow::Result;
use clap::Args;
use journal::ReadOnlyDisk;
use serde_json::json;
use server::{accounts, ledger};
use std::io::{Write as _, stdout};
use std::process::ExitCode;
use store::{Finding, Remedy, Report, Totals};

/// `repute verify`.
#[derive(Args)]
pub(crate) struct VerifyArguments {
    #[command(flatten)]
    place: Place,
}

/// Checks the directory and says what is wrong with it.
pub(crate) fn verify(arguments: &VerifyArguments) -> Result<ExitCode> {
    let Place { data_dir, json } = &arguments.place;
    logging::start(LogFormat::Auto, tracing::Level::ERROR);
    arguments.place.check()?;
    let disk = open_files::most_of(ReadOnlyDisk);
    let mut report = store::verify(&disk, data_dir)?;
    for name in [accounts::DATABASE, ledger::DATABASE] {
        let file = data_dir.join(name);
        if file.exists() {
            let faults = server::check_database(&file).unwrap_or_else(|error| vec![error.to_string()]);
            report.findings.extend(faults.into_iter().map(|what| Finding {
                file: file.clone(),
                offset: 0,
                what,
                remedy: Remedy::Restore,
            }));
        }
    }
    let accounts = data_dir.join(accounts::DATABASE);
    // One that cannot be read is among the findings.
    if !server::has_orgs(&accounts).unwrap_or(true) && store::has_frames(&disk, data_dir)? {
        report.findings.push(Finding {
            what: no_organisation(&accounts),
            file: accounts,
            offset: 0,
            remedy: Remedy::Restore,
        });
    }
    let text = if *json {
        as_json(&report)
    } else {
        for_people(&report)
    };
    stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::from(u8::from(!report.is_sound())))
}

fn as_json(report: &Report) -> String {
    let finding = |finding: &Finding| {
        json!({
            "file": finding.file,
            "offset": finding.offset,
            "what": finding.what,
            "remedy": finding.remedy.sentence(),
        })
    };
    let report = json!({
        "sound": report.is_sound(),
        "segments": report.segments,
        "frames": report.frames,
        "events": report.events,
        "agents": report.agents,
        "indexes": report.indexes,
        "totals": totals(report.totals),
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
        "more_findings": report.more,
    });
    format!("{report}\n")
}

fn for_people(report: &Report) -> String {
    let mut text = String::new();
    for Finding {
        file,
        offset,
        what,
        remedy,
    } in &report.findings
    {
        text += &format!("{} at byte {offset}: {what}\n", file.display());
        text += &format!("    {}\n", remedy.sentence());
    }
    if report.more > 0 {
        text += &format!("and {} more\n", report.more);
    }
    text += &format!(
        "{} segments, {} frames, {} events of {} agents, {} indexes; totals: {}\n",
        report.segments,
        report.frames,
        report.events,
        report.agents,
        report.indexes,
        totals(report.totals)
    );
    text += match report.findings.len() as u64 + report.more {
        0 => "sound\n".to_owned(),
        1 => "1 place is wrong\n".to_owned(),
        places => format!("{places} places are wrong\n"),
    }
    .as_str();
    text
}

fn totals(totals: Totals) -> &'static str {
    match totals {
        Totals::Uncounted => "not counted, since events are missing from the log",
        Totals::ScoresAlone => "scores recounted (there is no checkpoint of the agents yet)",
        Totals::Recounted => "recounted",
    }
}
