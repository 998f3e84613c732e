//! What goes wrong with files: the `error-code` of `wasi:filesystem/types`.

/// A code that a guest's C library turns into an `errno`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(in crate::sandbox) enum Code {
    BadDescriptor = 3,
    Busy = 4,
    Quota = 6,
    Exist = 7,
    IllegalByteSequence = 9,
    Invalid = 12,
    IsDirectory = 14,
    NameTooLong = 18,
    NoEntry = 20,
    InsufficientSpace = 23,
    NotDirectory = 24,
    NotEmpty = 25,
    NotPermitted = 31,
    ReadOnly = 33,
}

pub(super) type Result<T> = std::result::Result<T, Code>;
