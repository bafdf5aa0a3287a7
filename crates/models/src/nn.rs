//! Neural networks: a small reverse-mode tape of fused layers, optimisers and the training loop that all deep models share.
//!
//! - Weights live in one flat vector ([`Params`]); a [`Weight`] is a place in it.
//! - A [`Tape`] records layers on matrices (rows are records) and sweeps back over them. A layer's forward and backward pass stand
//!   side by side in one function. Buffers come from a [`Pool`] and go back to it, so that steps allocate little.
//! - [`gradient`] cuts a batch into a fixed number of shards, runs them in parallel and adds their gradients in order: the
//!   same bits at any number of threads. Elementwise loops use no fused multiply-add, so they give the same bits at any
//!   SIMD width; matrix products follow the widest instructions of the machine, or those that are pinned ([`simd_level`]).
//! - Everything is generic over [`Real`]: models train in f32, gradients are checked in f64 against finite differences.
//! - The gradient of a critic with respect to its input, which a gradient penalty differentiates, is built from
//!   [`Tape::dense_transposed`] and [`Tape::slope`]: for piecewise linear activations that is exact.
//!

// Recurrent and other layers that models of series build on are checked here before they have one.
#![allow(dead_code, unused_imports)]

mod attention;
mod causal;
mod conv;
mod dense;
mod elementwise;
mod gru;
mod history;
mod loss;
mod normalise;
mod optimise;
mod params;
mod real;
mod simd;
mod sparse;
mod tape;
mod train;

pub(crate) use causal::{LANES, Lane, attend, from_lanes, standardise_rows, to_lanes};
pub(crate) use conv::Image;
pub(crate) use dense::{Activation, product};
pub(crate) use history::History;
pub(crate) use loss::{Block, exponentials, gumbel, logistic};
pub(crate) use normalise::{Moments, load_moments, save_moments};
pub(crate) use optimise::{Adam, Optimiser, RmsProp};
pub(crate) use params::{Params, Weight};
pub(crate) use real::{Real, wide};
pub(crate) use simd::simd_level;
pub(crate) use sparse::Sparse;
pub(crate) use tape::{Mat, Pool, SHARDS, Tape, Var, Workers, gradient, gradient_within};
pub(crate) use train::{
    HELD_OUT_SHARE, Learner, MAX_SECONDS, Schedule, batch_size, epochs, learning_rate, patience, shuffle, split, train,
    window,
};

#[cfg(test)]
mod check;
