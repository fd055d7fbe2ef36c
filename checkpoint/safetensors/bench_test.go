package safetensors

import "testing"

func BenchmarkEncode(b *testing.B) {
	x := make([]float32, 1<<16)
	for i := range x {
		x[i] = float32(i)*1e-3 - 20
	}
	dst := make([]byte, 4<<16)
	for _, d := range []Dtype{F32, BF16, F16} {
		b.Run(string(d), func(b *testing.B) {
			b.SetBytes(int64(4 * len(x)))
			for b.Loop() {
				encode(dst, x, d)
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	x := make([]float32, 1<<16)
	src := make([]byte, 4<<16)
	for i := range src {
		src[i] = byte(i * 7)
	}
	for _, d := range []Dtype{F32, BF16, F16} {
		b.Run(string(d), func(b *testing.B) {
			b.SetBytes(int64(4 * len(x)))
			for b.Loop() {
				decode(x, src, d)
			}
		})
	}
}
