//! Models that keep the training rows: positive controls, which attacks have to see.

use lookalike_core::{Default, Domain, Error, Job, MISSING, Options, ParamKind, ParamSpec, Result, Values};

use crate::codec::{Reader, Writer, ensure, inconsistent};
use crate::rows::Rows;

/// The option without which a control does not run.
pub(crate) const CONTROL: ParamSpec = ParamSpec {
    name: "control",
    kind: ParamKind::Bool,
    default: Default::Bool(false),
    purpose: "Whether rows that give the input's away are wanted: without true the model does not run.",
};

/// An argument error unless the call says that it wants a control; `what` completes "model 'x' ...".
pub(crate) fn require_control(name: &str, what: &str, options: &Options) -> Result<()> {
    if options.bool(CONTROL.name) {
        return Ok(());
    }
    Err(Error::argument(format!(
        "model '{name}' {what}: it is a positive control, to show that attacks see such leakage, and protects nobody; to run it \
         say control => true"
    )))
}

/// The prepared training rows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stored {
    pub rows: usize,
    pub columns: Vec<Values>,
    /// Codes of each column.
    pub sizes: Vec<u32>,
}

impl Stored {
    pub fn new(rows: &Rows, job: &Job) -> Result<Self> {
        let size = |domain: &Domain| match domain {
            Domain::Category(domain) => domain.labels.len() as u32,
            _ => 0,
        };
        let columns = rows.map(job, |_, column| Ok((size(&column.domain), column.values.clone())))?;
        let (sizes, columns) = columns.into_iter().unzip();
        Ok(Self { rows: rows.len(), columns, sizes })
    }

    pub fn save(&self, w: &mut Writer) {
        w.u64(self.rows as u64);
        let columns: Vec<(&Values, u32)> = self.columns.iter().zip(self.sizes.iter().copied()).collect();
        w.list(&columns, |w, (values, size)| match values {
            Values::Omitted => w.u32(0),
            Values::Number(values) => {
                w.u32(1);
                w.f64s(values);
            }
            Values::Code(codes) => {
                w.u32(2);
                w.u32(*size);
                w.u32s(codes);
            }
        });
    }

    pub fn load(r: &mut Reader) -> Result<Self> {
        let rows = r.u64()? as usize;
        ensure(rows > 0)?;
        let columns = r.list(4, |r| match r.u32()? {
            0 => Ok((Values::Omitted, 0)),
            1 => {
                let values = r.f64s()?;
                ensure(values.len() == rows)?;
                Ok((Values::Number(values), 0))
            }
            2 => {
                let (size, codes) = (r.u32()?, r.u32s()?);
                ensure(codes.len() == rows && codes.iter().all(|&c| c < size || c == MISSING))?;
                Ok((Values::Code(codes), size))
            }
            _ => Err(inconsistent()),
        })?;
        let (columns, sizes) = columns.into_iter().unzip();
        Ok(Self { rows, columns, sizes })
    }
}
