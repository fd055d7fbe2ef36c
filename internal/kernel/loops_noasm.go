//go:build !amd64 || purego

package kernel

var loops32 = [...]loops[float32]{portable: portableLoops[float32]()}
