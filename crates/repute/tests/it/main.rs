//! The program as its users have it: the real binary, on a real directory, over a real socket.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod administration;
mod backup;
mod client;
mod command_line;
mod dependencies;
mod export;
mod first_start;
mod gates;
mod hostile;
mod import;
mod kit;
mod leaked_key;
mod master_key;
mod overload;
mod promises;
mod proxy;
mod repair;
mod settings;
mod tls;
mod torture;
mod unkind;
mod verify;
