//! Numbers of the packets that come before the first frame, for `startup` and for `write`.

/// CancelRequest.
pub(crate) const CANCEL: u32 = 80_877_102;
/// SSLRequest.
pub(crate) const SSL: u32 = 80_877_103;
/// GSSENCRequest.
pub(crate) const GSS: u32 = 80_877_104;
/// Most bytes of a cancel key (protocol 3.2).
pub(crate) const CANCEL_KEY_MAX: usize = 256;
