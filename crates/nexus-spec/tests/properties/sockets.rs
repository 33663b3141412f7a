//! Listening sockets as users may write them.

use std::net::{IpAddr, SocketAddr};

use nexus_spec::{Listen, Socket};
use proptest::collection::btree_map;
use proptest::option;
use proptest::prelude::*;

/// Sockets that do not clash.
pub(crate) fn listen() -> impl Strategy<Value = Vec<Socket>> {
    let more = (option::of(1..9_999_u32), option::of(0..=0o777_u32), option::of("[a-z]{1,8}"));
    (addresses(), more).prop_map(|(addresses, (backlog, mode, user))| {
        let socket = |(number, address): (usize, Listen)| {
            let of_a_file = matches!(address, Listen::Unix(_));
            Socket {
                name: (number % 2 == 0).then(|| format!("socket-{number}")),
                backlog,
                mode: mode.filter(|_| of_a_file),
                user: user.clone().filter(|_| of_a_file),
                ..Socket::from(address)
            }
        };
        addresses.into_iter().enumerate().map(socket).collect()
    })
}

/// Each port and each path once.
fn addresses() -> impl Strategy<Value = Vec<Listen>> {
    let tcp = btree_map(1_u16.., any::<IpAddr>(), 0..3);
    let unix = proptest::collection::btree_set("/[a-zé /]{0,20}x", 0..3);
    (tcp, unix).prop_map(|(tcp, unix)| {
        let tcp = tcp.into_iter().map(|(port, ip)| Listen::Tcp(SocketAddr::new(ip, port)));
        let unix = unix.into_iter().filter(|path| !path.starts_with("//"));
        tcp.chain(unix.map(|path| Listen::Unix(path.into()))).collect()
    })
}
