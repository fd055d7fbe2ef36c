package kernel

import (
	"fmt"
	"math"
	"testing"
)

// BenchmarkAttention reports GFLOP/s of the causal half: 4*D operations a
// score in the forward pass, 10*D in the backward pass.
func BenchmarkAttention(b *testing.B) {
	for _, s := range []AttentionShape{
		{B: 12, T: 64, H: 4, K: 4, D: 32},
		{B: 16, T: 256, H: 6, K: 6, D: 64},
		{B: 4, T: 1024, H: 12, K: 12, D: 64},
	} {
		s.Scale = 1 / math.Sqrt(float64(s.D))
		C := s.H * s.D
		qkv, dqkv := make([]float32, s.B*s.T*3*C), make([]float32, s.B*s.T*3*C)
		o, do := make([]float32, s.B*s.T*C), make([]float32, s.B*s.T*C)
		lse := make([]float32, s.B*s.H*s.T)
		for i := range qkv {
			qkv[i] = float32(i*7919%1001)/500 - 1
		}
		for i := range do {
			do[i] = float32(i*7907%1001)/500 - 1
		}
		name := fmt.Sprintf("B=%d,T=%d,H=%d,D=%d", s.B, s.T, s.H, s.D)
		scores := float64(s.B*s.H*s.D) * float64(s.T*(s.T+1)/2)
		b.Run(name+"/forward", func(b *testing.B) {
			for b.Loop() {
				AttentionForward(s, o, C, lse, qkv, 3*C, qkv[C:], 3*C, qkv[2*C:], 3*C)
			}
			b.ReportMetric(4*scores*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
		b.Run(name+"/backward", func(b *testing.B) {
			for b.Loop() {
				AttentionBackward(s, dqkv, 3*C, dqkv[C:], 3*C, dqkv[2*C:], 3*C, do, C, o, C, lse, qkv, 3*C, qkv[C:], 3*C, qkv[2*C:], 3*C)
			}
			b.ReportMetric(10*scores*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
}
