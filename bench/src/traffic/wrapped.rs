//! The same bodies over other protocols, for what people would use instead.

use super::{Prepared, Traffic};
use crate::body::{Age, Body, Fresh, Shape};
use crate::clock::now;
use crate::random::Random;
use anyhow::{Result, bail};
use std::collections::VecDeque;
use std::net::TcpStream;

/// How another service takes a body.
pub(crate) trait Protocol {
    /// Speaks on a new connection before the first request.
    fn greet(&self, _stream: &mut TcpStream) -> Result<()> {
        Ok(())
    }
    /// Appends the request that hands the body over.
    fn request(&self, body: &Body, out: &mut Vec<u8>) -> Result<()>;
    /// The length of the answer at the front of what was received, once it is whole.
    fn answer_end(&self, received: &[u8]) -> Option<usize>;
    /// Whether the answer says that the body was taken.
    fn is_taken(&self, answer: &[u8]) -> bool;
}

/// A pool of bodies and the protocol that they go over.
pub(crate) struct Wrapped<P> {
    protocol: P,
    requests: Vec<(Body, Vec<u8>)>,
    free: VecDeque<Prepared>,
    fresh: Fresh,
}

impl<P: Protocol> Wrapped<P> {
    /// That many distinct usual bodies.
    pub(crate) fn new(protocol: P, pool: usize) -> Self {
        let mut random = Random::fresh();
        let request = |_| (Body::new(Shape::USUAL, &mut random), Vec::new());
        Self {
            protocol,
            requests: (0..pool).map(request).collect(),
            free: (0..pool).map(Prepared).collect(),
            fresh: Fresh::new(Random::fresh()),
        }
    }
}

impl<P: Protocol> Traffic for Wrapped<P> {
    fn greet(&self, stream: &mut TcpStream) -> Result<()> {
        self.protocol.greet(stream)
    }

    fn prepare(&mut self) -> Result<Prepared> {
        let Some(request) = self.free.pop_front() else {
            bail!("more requests at once than bodies");
        };
        let (body, bytes) = &mut self.requests[request.0];
        body.refresh(now(), Age::FRESH, &mut self.fresh);
        bytes.clear();
        self.protocol.request(body, bytes)?;
        Ok(request)
    }

    fn bytes(&self, request: Prepared) -> &[u8] {
        &self.requests[request.0].1
    }

    fn answer_end(&self, received: &[u8]) -> Option<usize> {
        self.protocol.answer_end(received)
    }

    fn answered(&mut self, request: Prepared, answer: &[u8]) -> Result<u64> {
        if !self.protocol.is_taken(answer) {
            bail!(
                "not the answer that was expected: {}",
                String::from_utf8_lossy(answer)
            );
        }
        self.free.push_back(request);
        Ok(self.requests[request.0].0.events() as u64)
    }
}
