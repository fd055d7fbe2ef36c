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
		// Compared by hand: the testify functions take a second for so many.
		expect := func(got, want uint16, what string, x float64) {
			if got != want {
				t.Fatalf("%s: %s %v gives %#x, want %#x", c.dtype, what, x, got, want)
			}
		}
		for i := range 1 << 16 {
			b := uint16(i)
			want := c.value(b)
			if math.IsNaN(want) {
				x, y := decode1[float32](b, c.dtype), decode1[float64](b, c.dtype)
				if x == x || y == y || !math.IsNaN(c.value(encode1(x, c.dtype))) || !math.IsNaN(c.value(encode1(y, c.dtype))) {
					t.Fatalf("%s: %#x does not stay NaN", c.dtype, b)
				}
				continue
			}
			if got := decode1[float64](b, c.dtype); got != want || float64(decode1[float32](b, c.dtype)) != want {
				t.Fatalf("%s: %#x decodes to %v, want %v", c.dtype, b, got, want)
			}
			expect(encode1(float32(want), c.dtype), b, "float32", want)
			expect(encode1(want, c.dtype), b, "float64", want)

			if b&0x7fff >= c.infinity-1 {
				continue // no finite neighbour
			}
			next := b + 1 // away from zero
			mid := (want + c.value(next)) / 2
			even := b + b&1
			expect(encode1(mid, c.dtype), even, "midpoint", mid)
			expect(encode1(math.Nextafter(mid, want), c.dtype), b, "below midpoint", mid)
			expect(encode1(math.Nextafter(mid, c.value(next)), c.dtype), next, "above midpoint", mid)
			if m := float32(mid); float64(m) == mid {
				expect(encode1(m, c.dtype), even, "float32 midpoint", mid)
				expect(encode1(math.Nextafter32(m, float32(want)), c.dtype), b, "below float32 midpoint", mid)
				expect(encode1(math.Nextafter32(m, float32(c.value(next))), c.dtype), next, "above float32 midpoint", mid)
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
