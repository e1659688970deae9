//! The least and the greatest length of every kind of frame: the const tables behind [`super::header`].
//!
//! Minimums are what the message's fixed fields and terminators add up to. Caps: a kind that carries a text, a
//! row or values of any size is held by `max_packet_size` alone; the others by a figure here.

use super::{HEADER_LEN, WIRE_MAX, tag};
use crate::startup_codes::CANCEL_KEY_MAX;

/// Most bytes of the body of a client's message that holds no more than a name or a short text (Describe,
/// Execute, Close, CopyFail), and of an authentication answer. PostgreSQL takes 10,000 of the former; names ten
/// times `pkt_buf` work through PgBouncer, and a password of more than 65,530 bytes must be answered as a wrong
/// one, not as a broken message.
const CLIENT_SMALL: usize = 128 * 1024;

/// Most bytes of the body of a server's message that is always small.
const SERVER_SMALL: usize = 64 * 1024;

/// Most columns or parameters: their count is a 16-bit word.
const COUNT_MAX: usize = u16::MAX as usize;

/// Bounds of one kind of frame, in bytes with tag and length word.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    pub(super) min: usize,
    pub(super) max: usize,
}

impl Rule {
    /// No length satisfies it.
    const UNKNOWN: Self = Self { min: usize::MAX, max: 0 };

    pub(super) const fn is_unknown(self) -> bool {
        self.max == 0
    }

    const fn exact(body: usize) -> Self {
        Self::within(body, body)
    }

    const fn within(min_body: usize, max_body: usize) -> Self {
        Self { min: min_body + HEADER_LEN, max: max_body + HEADER_LEN }
    }

    const fn big(min_body: usize) -> Self {
        Self { min: min_body + HEADER_LEN, max: WIRE_MAX }
    }
}

pub(super) static CLIENT: [Rule; 256] = {
    use tag::client as t;
    let mut table = [Rule::UNKNOWN; 256];
    // Two names, three counts.
    table[t::BIND as usize] = Rule::big(8);
    table[t::CLOSE as usize] = Rule::within(2, CLIENT_SMALL);
    table[t::COPY_DATA as usize] = Rule::big(0);
    table[t::COPY_DONE as usize] = Rule::exact(0);
    table[t::COPY_FAIL as usize] = Rule::within(1, CLIENT_SMALL);
    table[t::DESCRIBE as usize] = Rule::within(2, CLIENT_SMALL);
    table[t::EXECUTE as usize] = Rule::within(5, CLIENT_SMALL);
    table[t::FLUSH as usize] = Rule::exact(0);
    // Function OID, two counts, the result's format.
    table[t::FUNCTION_CALL as usize] = Rule::big(10);
    table[t::PASSWORD as usize] = Rule::within(0, CLIENT_SMALL);
    // Name, text, count.
    table[t::PARSE as usize] = Rule::big(4);
    table[t::QUERY as usize] = Rule::big(1);
    table[t::SYNC as usize] = Rule::exact(0);
    table[t::TERMINATE as usize] = Rule::exact(0);
    table
};

pub(super) static SERVER: [Rule; 256] = {
    use tag::server as t;
    let mut table = [Rule::UNKNOWN; 256];
    table[t::AUTHENTICATION as usize] = Rule::within(4, SERVER_SMALL);
    table[t::BACKEND_KEY_DATA as usize] = Rule::within(8, 4 + CANCEL_KEY_MAX);
    table[t::BIND_COMPLETE as usize] = Rule::exact(0);
    table[t::CLOSE_COMPLETE as usize] = Rule::exact(0);
    table[t::COMMAND_COMPLETE as usize] = Rule::within(1, SERVER_SMALL);
    table[t::COPY_DATA as usize] = Rule::big(0);
    table[t::COPY_DONE as usize] = Rule::exact(0);
    table[t::COPY_IN_RESPONSE as usize] = Rule::within(3, 3 + 2 * COUNT_MAX);
    table[t::COPY_OUT_RESPONSE as usize] = Rule::within(3, 3 + 2 * COUNT_MAX);
    table[t::COPY_BOTH_RESPONSE as usize] = Rule::within(3, 3 + 2 * COUNT_MAX);
    table[t::DATA_ROW as usize] = Rule::big(2);
    table[t::EMPTY_QUERY_RESPONSE as usize] = Rule::exact(0);
    table[t::ERROR_RESPONSE as usize] = Rule::big(1);
    table[t::FUNCTION_CALL_RESPONSE as usize] = Rule::big(4);
    table[t::NEGOTIATE_PROTOCOL_VERSION as usize] = Rule::within(8, SERVER_SMALL);
    table[t::NO_DATA as usize] = Rule::exact(0);
    table[t::NOTICE_RESPONSE as usize] = Rule::big(1);
    table[t::NOTIFICATION_RESPONSE as usize] = Rule::within(6, SERVER_SMALL);
    table[t::PARAMETER_DESCRIPTION as usize] = Rule::within(2, 2 + 4 * COUNT_MAX);
    // Values of settings have no limit of their own.
    table[t::PARAMETER_STATUS as usize] = Rule::big(2);
    table[t::PARSE_COMPLETE as usize] = Rule::exact(0);
    table[t::PORTAL_SUSPENDED as usize] = Rule::exact(0);
    table[t::READY_FOR_QUERY as usize] = Rule::exact(1);
    table[t::ROW_DESCRIPTION as usize] = Rule::big(2);
    table
};
