//! A client that costs little: one thread for all connections, and no more HTTP than it takes.

use std::{
    cell::Cell,
    io::{self, ErrorKind},
    net::SocketAddr,
    ops::Range,
    rc::Rc,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime,
    task::LocalSet,
};

use crate::Outcome;

/// The end of an answer's head.
const END: &[u8] = b"\r\n\r\n";

/// Makes the request of a number.
pub type Request = Rc<dyn Fn(u64) -> Vec<u8>>;

/// Sends the requests of `numbers` over `connections` to a server, each as soon as its connection has the answer to the one before.
/// Gives how many were answered, all with `status`.
///
/// # Errors
///
/// Another status, and what the connections fail with.
pub fn send(
    address: SocketAddr,
    connections: usize,
    numbers: Range<u64>,
    status: u16,
    request: &Request,
) -> Outcome<u64> {
    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    let (next, end, count) = (Rc::new(Cell::new(numbers.start)), numbers.end, numbers.end - numbers.start);
    let tasks = LocalSet::new();
    let running: Vec<_> = (0..connections)
        .map(|_| {
            let (next, request) = (Rc::clone(&next), Rc::clone(request));
            tasks.spawn_local(async move {
                let mut connection = Connection::open(address).await?;
                while next.get() < end {
                    let number = next.replace(next.get() + 1);
                    connection.ask(&request(number), status).await?;
                }
                Outcome::Ok(())
            })
        })
        .collect();
    runtime.block_on(tasks.run_until(async {
        for connection in running {
            connection.await??;
        }
        Ok(count)
    }))
}

/// The body of the answer to one request, which must have `status`.
///
/// # Errors
///
/// As of [`send`].
pub fn body(address: SocketAddr, request: &[u8], status: u16) -> Outcome<Vec<u8>> {
    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async { Connection::open(address).await?.ask(request, status).await })
}

/// A connection, with what was read of it and not looked at yet.
struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, read: Vec::with_capacity(64 << 10) })
    }

    /// Sends a request, and waits until all of the answer is there. Gives its body.
    async fn ask(&mut self, request: &[u8], status: u16) -> Outcome<Vec<u8>> {
        self.stream.write_all(request).await?;
        let head = loop {
            if let Some(at) = self.read.windows(END.len()).position(|window| window == END) {
                break at + END.len();
            }
            self.more().await?;
        };
        let text = std::str::from_utf8(&self.read[..head])?;
        if text.split(' ').nth(1).and_then(|said| said.parse().ok()) != Some(status) {
            return Err(format!("answered {}", String::from_utf8_lossy(&self.read)).into());
        }
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.ok_or("an answer does not say its length")?.parse()?;
        while self.read.len() < head + length {
            self.more().await?;
        }
        let body = self.read[head..head + length].to_vec();
        self.read.drain(..head + length);
        Ok(body)
    }

    async fn more(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.read).await? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}
