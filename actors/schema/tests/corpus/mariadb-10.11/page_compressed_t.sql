CREATE TABLE `page_compressed_t` (
  `a` int(11) NOT NULL,
  PRIMARY KEY (`a`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci `page_compressed`='1' `page_compression_level`='5'
