package safetensors

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// halfValue and bfloatValue are the definitions (IEEE 754 binary16; the high
// half of binary32).
func halfValue(h uint16) float64 {
	sign := 1 - 2*float64(h>>15)
	exp, frac := int(h>>10&31), float64(h&1023)
	switch exp {
	case 0:
		return sign * frac * math.Ldexp(1, -24)
	case 31:
		if frac > 0 {
			return math.NaN()
		}
		return sign * math.Inf(1)
	}
	return sign * (1 + frac/1024) * math.Ldexp(1, exp-15)
}

func bfloatValue(b uint16) float64 { return float64(math.Float32frombits(uint32(b) << 16)) }

func encode1[T Float](x T, to Dtype) uint16 {
	var buf [2]byte
	encode(buf[:], []T{x}, to)
	return binary.LittleEndian.Uint16(buf[:])
}

func decode1[T Float](b uint16, from Dtype) T {
	var x [1]T
	decode(x[:], binary.LittleEndian.AppendUint16(nil, b), from)
	return x[0]
}

// Every 16-bit number decodes to what the definition says and encodes to
// itself; every midpoint between neighbours goes to the even one, and the
// numbers next to a midpoint, in float32 and in float64, to the nearer one.
func TestSixteenBitTypesWhole(t *testing.T) {
	for _, c := range []struct {
		dtype    Dtype
		value    func(uint16) float64
		infinity uint16
	}{{F16, halfValue, 0x7c00}, {BF16, bfloatValue, 0x7f80}} {
		for i := range 1 << 16 {
			b := uint16(i)
			want := c.value(b)
			if math.IsNaN(want) {
				require.True(t, math.IsNaN(decode1[float64](b, c.dtype)), "%s %#x", c.dtype, b)
				require.True(t, math.IsNaN(c.value(encode1(decode1[float32](b, c.dtype), c.dtype))))
				require.True(t, math.IsNaN(c.value(encode1(decode1[float64](b, c.dtype), c.dtype))))
				continue
			}
			require.Equal(t, want, decode1[float64](b, c.dtype), "%s %#x", c.dtype, b)
			require.Equal(t, b, encode1(float32(want), c.dtype), "%s %v", c.dtype, want)
			require.Equal(t, b, encode1(want, c.dtype), "%s %v", c.dtype, want)

			if b&0x7fff >= c.infinity-1 {
				continue // no finite neighbour
			}
			next := b + 1 // away from zero
			mid := (want + c.value(next)) / 2
			even := b + b&1
			require.Equal(t, even, encode1(mid, c.dtype), "%s midpoint %v", c.dtype, mid)
			require.Equal(t, b, encode1(math.Nextafter(mid, want), c.dtype), "%s below %v", c.dtype, mid)
			require.Equal(t, next, encode1(math.Nextafter(mid, c.value(next)), c.dtype), "%s above %v", c.dtype, mid)
			if m := float32(mid); float64(m) == mid {
				require.Equal(t, even, encode1(m, c.dtype))
				require.Equal(t, b, encode1(math.Nextafter32(m, float32(want)), c.dtype))
				require.Equal(t, next, encode1(math.Nextafter32(m, float32(c.value(next))), c.dtype))
			}
		}
	}
}

func TestOverflowGoesToInfinity(t *testing.T) {
	for _, c := range []struct {
		x    float64
		to   Dtype
		want uint16
	}{
		{65519.99, F16, 0x7bff}, {65520, F16, 0x7c00}, {-1e300, F16, 0xfc00},
		{3.3962e38, BF16, 0x7f80}, {1e300, BF16, 0x7f80}, {3.3961e38, BF16, 0x7f7f},
	} {
		require.Equal(t, c.want, encode1(c.x, c.to), "%v as %s", c.x, c.to)
	}
}
