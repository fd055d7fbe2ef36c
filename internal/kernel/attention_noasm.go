//go:build !amd64 || purego

package kernel

var attnLoops32 = [...]attnLoops[float32]{portable: portableAttnLoops[float32]()}
