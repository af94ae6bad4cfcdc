//! The journal from outside, on simulated disks and on a real one.

mod crash;
mod damage;
mod faults;
mod kit;
mod os;
mod segments;
mod survey;
mod threads;
