package dataset

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// Fingerprint identifies the ids of a stream: "sha256:" and the digest of all
// ids as little-endian int32. A run that goes on keeps it to see that the
// training data is still the same. It reads the whole stream, in pieces.
func Fingerprint(src Tokens) (string, error) {
	if src == nil {
		return "", errNilStream
	}
	h := sha256.New()
	ids := make([]int32, shardChunk)
	buf := make([]byte, 0, 4*shardChunk)
	for at := 0; at < src.Len(); at += len(ids) {
		part := ids[:min(len(ids), src.Len()-at)]
		if err := src.ReadTokens(part, at); err != nil {
			return "", err
		}
		buf = buf[:0]
		for _, id := range part {
			buf = binary.LittleEndian.AppendUint32(buf, uint32(id))
		}
		h.Write(buf)
	}
	return fmt.Sprintf("sha256:%x", h.Sum(nil)), nil
}
