//! (front door)
