//! Sprig's arithmetic: integers wrap, decimals are exact, division by zero is an
//! error of the template.

use sluice_gotemplate::{CallError, List, Run, Type, Value};

use super::convert::{ANY, INT, STRING, int, string, strval, text, to_float64, to_int64};
use super::decimal::Decimal;
use super::{Answer, Entry, fail, fixed, open};
use crate::session::Session;

const INT64: Type = Type::Int64;
const FLOAT: Type = Type::Float64;
const INTS: Type = Type::Slice(&Type::Int);

pub(crate) const TABLE: &[Entry] = &[
    fixed("atoi", &[STRING], INT, |_, a| {
        Ok(Value::int(atoi(text(&a[0]))))
    }),
    fixed("int", &[ANY], INT, |_, a| Ok(Value::int(to_int64(&a[0])))),
    fixed("int64", &[ANY], INT64, |_, a| {
        Ok(Value::int64(to_int64(&a[0])))
    }),
    fixed("float64", &[ANY], FLOAT, |_, a| {
        Ok(Value::Float(to_float64(&a[0])))
    }),
    fixed("toDecimal", &[ANY], INT64, |run, a| {
        let octal = strval(&a[0], run.bytes_left())?;
        let value = i64::from_str_radix(&octal.to_text(), 8);
        Ok(Value::int64(value.unwrap_or(0)))
    }),
    open("add", &[], ANY, INT64, |_, a| {
        Ok(Value::int64(
            a.iter().fold(0, |sum, v| sum.wrapping_add(to_int64(v))),
        ))
    }),
    fixed("add1", &[ANY], INT64, |_, a| {
        Ok(Value::int64(to_int64(&a[0]).wrapping_add(1)))
    }),
    fixed("sub", &[ANY, ANY], INT64, |_, a| {
        Ok(Value::int64(to_int64(&a[0]).wrapping_sub(to_int64(&a[1]))))
    }),
    open("mul", &[ANY], ANY, INT64, |_, a| {
        Ok(Value::int64(
            a.iter()
                .fold(1, |product, v| product.wrapping_mul(to_int64(v))),
        ))
    }),
    fixed("div", &[ANY, ANY], INT64, |_, a| {
        divide(a, i64::wrapping_div)
    }),
    fixed("mod", &[ANY, ANY], INT64, |_, a| {
        divide(a, i64::wrapping_rem)
    }),
    open("addf", &[], ANY, FLOAT, |_, a| {
        decimals(a, Some(0.0), |x, y| Ok(x.add(y)))
    }),
    fixed("add1f", &[ANY], FLOAT, |_, a| {
        decimals(&[a[0].clone(), Value::int(1)], None, |x, y| Ok(x.add(y)))
    }),
    open("subf", &[ANY], ANY, FLOAT, |_, a| {
        decimals(a, None, |x, y| Ok(x.sub(y)))
    }),
    open("mulf", &[ANY], ANY, FLOAT, |_, a| {
        decimals(a, None, |x, y| Ok(x.mul(y)))
    }),
    open("divf", &[ANY], ANY, FLOAT, |_, a| {
        decimals(a, None, |x, y| {
            x.div(y)
                .ok_or_else(|| CallError::new("decimal division by 0"))
        })
    }),
    open("max", &[ANY], ANY, INT64, largest),
    open("biggest", &[ANY], ANY, INT64, largest),
    open("min", &[ANY], ANY, INT64, |_, a| {
        Ok(Value::int64(a.iter().map(to_int64).min().unwrap_or(0)))
    }),
    open("maxf", &[ANY], ANY, FLOAT, |_, a| extreme(a, f64::max)),
    open("minf", &[ANY], ANY, FLOAT, |_, a| extreme(a, f64::min)),
    fixed("ceil", &[ANY], FLOAT, |_, a| {
        Ok(Value::Float(to_float64(&a[0]).ceil()))
    }),
    fixed("floor", &[ANY], FLOAT, |_, a| {
        Ok(Value::Float(to_float64(&a[0]).floor()))
    }),
    open("round", &[ANY, INT], FLOAT, FLOAT, round),
    fixed("until", &[INT], INTS, |run, a| {
        let stop = int(&a[0]);
        until_step(run, 0, stop, if stop < 0 { -1 } else { 1 })
    }),
    fixed("untilStep", &[INT, INT, INT], INTS, |run, a| {
        until_step(run, int(&a[0]), int(&a[1]), int(&a[2]))
    }),
    open("seq", &[], INT, STRING, seq),
    fixed("randInt", &[INT, INT], INT, |run, a| {
        let (low, high) = (int(&a[0]), int(&a[1]));
        let width = high.wrapping_sub(low);
        if width <= 0 {
            return fail("invalid argument to Intn");
        }
        let offset = run.host.random_below(width as u64);
        Ok(Value::int(low.wrapping_add(offset as i64)))
    }),
];

/// Go's `strconv.Atoi` with failures as 0.
fn atoi(bytes: &[u8]) -> i64 {
    let unsigned = match bytes {
        [b'+' | b'-', rest @ ..] => rest,
        all => all,
    };
    if unsigned.is_empty() || !unsigned.iter().all(u8::is_ascii_digit) {
        return 0;
    }
    let decimal = String::from_utf8_lossy(bytes);
    // What is out of range becomes the nearest integer.
    decimal.parse().unwrap_or(if decimal.starts_with('-') {
        i64::MIN
    } else {
        i64::MAX
    })
}

fn divide(a: &[Value], operation: fn(i64, i64) -> i64) -> Answer {
    let (x, y) = (to_int64(&a[0]), to_int64(&a[1]));
    if y == 0 {
        return fail("runtime error: integer divide by zero");
    }
    Ok(Value::int64(operation(x, y)))
}

fn largest(_: &mut Run<'_, Session>, a: &[Value]) -> Answer {
    Ok(Value::int64(a.iter().map(to_int64).max().unwrap_or(0)))
}

fn extreme(a: &[Value], choose: fn(f64, f64) -> f64) -> Answer {
    let mut floats = a.iter().map(to_float64);
    let first = floats.next().unwrap_or(0.0);
    // Go's Max and Min answer NaN when one operand is, Rust's do not.
    Ok(Value::Float(floats.fold(first, |x, y| {
        if x.is_nan() || y.is_nan() {
            f64::NAN
        } else {
            choose(x, y)
        }
    })))
}

/// Folds an exact operation over the operands, from the left.
fn decimals(
    a: &[Value],
    start: Option<f64>,
    operation: impl Fn(&Decimal, &Decimal) -> Result<Decimal, CallError>,
) -> Answer {
    let decimal = |f: f64| {
        Decimal::from_float(f)
            .ok_or_else(|| CallError::new(format!("Cannot create a Decimal from {}", shown(f))))
    };
    let mut floats = start.into_iter().chain(a.iter().map(to_float64));
    let mut result = decimal(floats.next().unwrap_or(0.0))?;
    for float in floats {
        result = operation(&result, &decimal(float)?)?;
    }
    Ok(Value::Float(result.to_float()))
}

fn shown(f: f64) -> String {
    sluice_gotemplate::strconv::format_float(f)
}

fn round(_: &mut Run<'_, Session>, a: &[Value]) -> Answer {
    let round_on = a.get(2).map_or(0.5, to_float64);
    let power = 10f64.powi(i32::try_from(int(&a[1])).unwrap_or(i32::MAX));
    let digit = power * to_float64(&a[0]);
    let fraction = digit - digit.trunc();
    let rounded = if fraction >= round_on {
        digit.ceil()
    } else {
        digit.floor()
    };
    Ok(Value::Float(rounded / power))
}

/// Counts from `start` to before `stop`; a step that does not lead there gives
/// nothing.
fn steps(
    run: &mut Run<'_, Session>,
    start: i64,
    stop: i64,
    step: i64,
) -> Result<Vec<i64>, CallError> {
    let down = stop < start;
    if (down && step >= 0) || (!down && step <= 0) {
        return Ok(Vec::new());
    }
    let distance = stop.abs_diff(start);
    let count = distance.div_ceil(step.unsigned_abs());
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    run.charge(count.saturating_mul(std::mem::size_of::<Value>()))?;
    let mut values = Vec::with_capacity(count);
    let mut at = start;
    for _ in 0..count {
        values.push(at);
        at = at.wrapping_add(step);
    }
    Ok(values)
}

fn until_step(run: &mut Run<'_, Session>, start: i64, stop: i64, step: i64) -> Answer {
    let values = steps(run, start, stop, step)?;
    let items = values.into_iter().map(Value::int).collect();
    Ok(Value::List(List::typed(INTS, items)))
}

fn seq(run: &mut Run<'_, Session>, a: &[Value]) -> Answer {
    let n: Vec<i64> = a.iter().map(int).collect();
    let values = match n.as_slice() {
        [end] => {
            let step = if *end < 1 { -1 } else { 1 };
            steps(run, 1, end.wrapping_add(step), step)?
        }
        [start, end] => {
            let step = if end < start { -1 } else { 1 };
            steps(run, *start, end.wrapping_add(step), step)?
        }
        [start, step, end] => {
            if end < start {
                if *step > 0 {
                    return string("");
                }
                steps(run, *start, end.wrapping_sub(1), *step)?
            } else {
                steps(run, *start, end.wrapping_add(1), *step)?
            }
        }
        _ => return string(""),
    };
    let texts: Vec<String> = values.iter().map(i64::to_string).collect();
    string(texts.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn atoi_reads_base_ten_only() {
        for (text, want) in [
            ("012", 12),
            ("+5", 5),
            ("-5", -5),
            ("0x1", 0),
            ("1.0", 0),
            ("", 0),
        ] {
            assert_eq!(atoi(text.as_bytes()), want, "{text}");
        }
    }
}
