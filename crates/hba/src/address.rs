//! Addresses and masks of host lines. Next: `parse.rs`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The addresses that a host line is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    /// `all`
    All,
    /// IPv4 address and mask.
    V4(u32, u32),
    /// IPv6 address and mask.
    V6(u128, u128),
}

impl Network {
    /// The network of an address and a mask of so many bits; `None`: there are not so many.
    pub(crate) fn of_width(address: IpAddr, bits: u32) -> Option<Self> {
        match address {
            IpAddr::V4(address) => {
                let shift = 32_u32.checked_sub(bits)?;
                Some(Self::V4(address.into(), u32::MAX.checked_shl(shift).unwrap_or(0)))
            }
            IpAddr::V6(address) => {
                let shift = 128_u32.checked_sub(bits)?;
                Some(Self::V6(address.into(), u128::MAX.checked_shl(shift).unwrap_or(0)))
            }
        }
    }

    /// The network of an address and a mask that is written as an address; `None`: they are of different kinds.
    pub(crate) fn of_mask(address: IpAddr, mask: IpAddr) -> Option<Self> {
        match (address, mask) {
            (IpAddr::V4(address), IpAddr::V4(mask)) => Some(Self::V4(address.into(), mask.into())),
            (IpAddr::V6(address), IpAddr::V6(mask)) => Some(Self::V6(address.into(), mask.into())),
            _ => None,
        }
    }

    /// Address and mask, if the address has bits outside of the mask: then it is no client's network.
    pub(crate) fn mismatch(self) -> Option<(IpAddr, IpAddr)> {
        match self {
            Self::V4(address, mask) if address & !mask != 0 => {
                Some((Ipv4Addr::from(address).into(), Ipv4Addr::from(mask).into()))
            }
            Self::V6(address, mask) if address & !mask != 0 => {
                Some((Ipv6Addr::from(address).into(), Ipv6Addr::from(mask).into()))
            }
            _ => None,
        }
    }

    /// Whether a client of this address is meant. An address that is mapped from IPv4 is one of IPv4, which is what a
    /// socket for both kinds shows.
    pub(crate) fn contains(self, client: IpAddr) -> bool {
        match (self, client.to_canonical()) {
            (Self::All, _) => true,
            (Self::V4(address, mask), IpAddr::V4(client)) => u32::from(client) & mask == address,
            (Self::V6(address, mask), IpAddr::V6(client)) => u128::from(client) & mask == address,
            _ => false,
        }
    }
}
