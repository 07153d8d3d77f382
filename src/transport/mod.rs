//! (front door)

pub mod assembly;
pub mod frame_guard;
pub mod pace;
pub mod socket;
