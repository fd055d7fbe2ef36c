package safetensors

import (
	"encoding/binary"
	"math"
)

// Float is what tensors are read into and written from.
type Float interface{ float32 | float64 }

// decode converts the elements in src to dst.
func decode[T Float](dst []T, src []byte, from Dtype) {
	le := binary.LittleEndian
	switch from {
	case F64:
		for i := range dst {
			dst[i] = T(math.Float64frombits(le.Uint64(src[8*i:])))
		}
	case F32:
		for i := range dst {
			dst[i] = T(math.Float32frombits(le.Uint32(src[4*i:])))
		}
	case BF16:
		for i := range dst {
			dst[i] = T(math.Float32frombits(uint32(le.Uint16(src[2*i:])) << 16))
		}
	case F16:
		for i := range dst {
			dst[i] = T(halfToFloat(le.Uint16(src[2*i:])))
		}
	}
}

// encode converts src to elements in dst, rounding to nearest, ties to even. It
// returns the index of the first finite number that is too large for the type,
// -1 if there is none.
func encode[T Float](dst []byte, src []T, to Dtype) (overflow int) {
	overflow = -1
	le := binary.LittleEndian
	switch to {
	case F64:
		for i, x := range src {
			le.PutUint64(dst[8*i:], math.Float64bits(float64(x)))
		}
	case F32:
		for i, x := range src {
			f := float32(x)
			le.PutUint32(dst[4*i:], math.Float32bits(f))
			if f-f != 0 && x-x == 0 && overflow < 0 {
				overflow = i
			}
		}
	case BF16:
		for i, x := range src {
			b := floatToBfloat(roundToOdd(float64(x)))
			le.PutUint16(dst[2*i:], b)
			if b&0x7f80 == 0x7f80 && x-x == 0 && overflow < 0 {
				overflow = i
			}
		}
	case F16:
		for i, x := range src {
			h := floatToHalf(roundToOdd(float64(x)))
			le.PutUint16(dst[2*i:], h)
			if h&0x7c00 == 0x7c00 && x-x == 0 && overflow < 0 {
				overflow = i
			}
		}
	}
	return overflow
}

// roundToOdd rounds to a float32 whose last bit is set if anything was cut
// off. Rounding that again to 16 bits gives what rounding x at once would give
// (Boldo and Melquiond 2008); rounding to nearest twice would not.
func roundToOdd(x float64) float32 {
	f := float32(x)
	if float64(f) == x || math.IsNaN(x) || math.IsInf(x, 0) {
		return f
	}
	bits := math.Float32bits(f)
	if math.Abs(float64(f)) > math.Abs(x) {
		bits-- // towards zero; from infinity to the largest number
	}
	return math.Float32frombits(bits | 1)
}

func floatToBfloat(f float32) uint16 {
	bits := math.Float32bits(f)
	if f != f {
		return uint16(bits>>16) | 0x40 // stays NaN: a payload in the low half is lost
	}
	// Add just below half of the last place, or half if that makes it even.
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

func halfToFloat(h uint16) float32 {
	sign, exp, frac := uint32(h>>15)<<31, uint32(h>>10&0x1f), uint32(h&0x3ff)
	switch exp {
	case 0: // zero and subnormals: frac * 2^-24, exact
		f := float32(frac) * (1.0 / (1 << 24))
		return math.Float32frombits(sign | math.Float32bits(f))
	case 31: // infinity and NaN
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}

func floatToHalf(f float32) uint16 {
	bits := math.Float32bits(f)
	sign, abs := uint16(bits>>16&0x8000), bits&0x7fffffff
	switch {
	case abs > 0x7f800000: // NaN
		return sign | 0x7e00 | uint16(abs>>13&0x3ff)
	case abs >= 0x477ff000: // 65520 and more round to infinity
		return sign | 0x7c00
	case abs < 0x38800000: // below 2^-14: a multiple of 2^-24
		// Adding 0.5 aligns the last place of the sum with 2^-24, and the
		// processor rounds to nearest even.
		sum := math.Float32frombits(abs) + 0.5
		return sign | uint16(math.Float32bits(sum)-math.Float32bits(0.5))
	}
	// As floatToBfloat, with 13 bits to drop; the exponent's bias goes from
	// 127 to 15.
	return sign | uint16((abs+0xfff+abs>>13&1-112<<23)>>13)
}

// firstNotFinite is the index of the first NaN or infinity, -1 if there is none.
func firstNotFinite[T Float](x []T) int {
	for i, v := range x {
		if v-v != 0 {
			return i
		}
	}
	return -1
}
